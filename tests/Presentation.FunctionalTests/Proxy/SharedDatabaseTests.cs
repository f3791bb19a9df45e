using System.Net;
using System.Text.Json.Nodes;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>Several proxies on one real Postgres, as processes of their own where that matters.</summary>
public sealed class SharedDatabaseTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>, IAsyncLifetime
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);

    private readonly ScratchDirectory _scratch = new();
    private PostgresServer _postgres = null!;

    public async Task InitializeAsync() => _postgres = await PostgresServer.StartAsync();

    public async Task DisposeAsync()
    {
        await _postgres.DisposeAsync();
        _scratch.Dispose();
    }

    [Fact]
    public async Task Start_WhenFourProxiesMigrateAtOnce_OneDoesItAndAllWork()
    {
        string database = _postgres.CreateDatabase();

        ServerProgram[] proxies = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => StartAsync($"p{i}", database)));

        proxies.Sum(p => p.Log.Split('\n').Count(l => l.Contains("schema 1 applied", StringComparison.Ordinal))).ShouldBe(1);
        proxies.ShouldAllBe(p => p.Log.Contains("is ready", StringComparison.Ordinal));
        foreach (ServerProgram proxy in proxies)
        {
            (await proxy.StopAsync()).ShouldBe(0);
            await proxy.DisposeAsync();
        }
    }

    [Fact]
    public async Task Notify_WhenTwoProxiesAreToldAtOnce_ReadsEachLayerOnceAndBothServeTheSameBundle()
    {
        string database = _postgres.CreateDatabase();
        await using RunningProxy one = await RunningProxy.StartAsync(database: database);
        await using RunningProxy two = await RunningProxy.StartAsync(database: database);
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(1), ProxyFixture.Layer(2)]);
        await pusher.ImageAsync("v2", [ProxyFixture.Layer(1), ProxyFixture.Layer(3)]);

        JsonNode[] answers = await Task.WhenAll(one.NotifyAsync($"{name}:v1"), two.NotifyAsync($"{name}:v1"), one.NotifyAsync($"{name}:v2"), two.NotifyAsync($"{name}:v2"));

        string[] layers = [.. (await Task.WhenAll(new[] { "v1", "v2" }.Select(t => one.Http.GetStringAsync($"/starlight/admin/image?ref={name}:{t}"))))
            .SelectMany(t => JsonNode.Parse(t)!["images"]![0]!["layers"]!.AsArray()).Select(l => (string)l!["digest"]!).Distinct()];
        layers.Length.ShouldBe(3);
        string repository = name.Split('/', 2)[1];
        layers.ShouldAllBe(l => fixture.Registry.Log.Split('\n', StringSplitOptions.None).Count(line => line.Contains($"GET /v2/{repository}/blobs/{l} ", StringComparison.Ordinal)) == 1);
        answers.ShouldAllBe(a => a["images"]!.AsArray().Count == 1);
        byte[] first = await one.DeltaAsync($"to={name}:v2");
        byte[] second = await two.DeltaAsync($"to={name}:v2");
        second.ShouldBe(first);
        (await two.DeltaAsync($"to={name}:v1")).ShouldBe(await one.DeltaAsync($"to={name}:v1"));
    }

    [Fact]
    public async Task Notify_WhenTheProxyThatReadsALayerIsKilled_AnotherTakesOver()
    {
        string database = _postgres.CreateDatabase();
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(5, ("big", ProxyFixture.Noise(6, 150_000_000)))]);
        await using ServerProgram doomed = await StartAsync("doomed", database);
        using HttpClient http = new() { BaseAddress = AddressOf(doomed) };
        using HttpRequestMessage request = new(HttpMethod.Post, $"/starlight/notify?ref={name}:v1");
        request.Headers.Accept.ParseAdd("application/x-ndjson");
        using (HttpResponseMessage answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
        {
            using StreamReader lines = new(await answer.Content.ReadAsStreamAsync());
            while (await lines.ReadLineAsync() is { } line && !line.Contains("\"layer\"", StringComparison.Ordinal))
            {
            }

            await doomed.KillAsync();
        }

        await using RunningProxy other = await RunningProxy.StartAsync(database: database);
        JsonNode indexed = await other.NotifyAsync($"{name}:v1");

        ((int)indexed["images"]![0]!["contents"]!).ShouldBe(3);
    }

    [Fact]
    public async Task Delta_WhenTheDatabaseIsDown_ServesWhatWasAskedForBeforeAndSaysThatItIsDegraded()
    {
        string database = _postgres.CreateDatabase();
        await using RunningProxy proxy = await RunningProxy.StartAsync(database: database);
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(7)]);
        await pusher.ImageAsync("never-asked", [ProxyFixture.Layer(8)]);
        await proxy.NotifyAsync($"{name}:v1");
        await proxy.NotifyAsync($"{name}:never-asked");
        byte[] bundle = await proxy.DeltaAsync($"to={name}:v1");

        _postgres.Stop();
        byte[] cached = await proxy.DeltaAsync($"to={name}:v1");
        foreach (string file in await proxy.BundleFilesAsync())
        {
            File.Delete(file);
        }

        byte[] built = await proxy.DeltaAsync($"to={name}:v1");
        HttpResponseMessage unknown = await proxy.Http.GetAsync($"/starlight/delta?to={name}:never-asked&platform=linux/amd64");
        JsonNode down = JsonNode.Parse(await proxy.Http.GetStringAsync("/starlight/admin/stats"))!;
        _postgres.Start();
        await Probe.UntilAsync(async () => (await proxy.Http.GetAsync($"/starlight/delta?to={name}:never-asked&platform=linux/amd64")).StatusCode == HttpStatusCode.OK, "it recovers by itself");
        JsonNode up = JsonNode.Parse(await proxy.Http.GetStringAsync("/starlight/admin/stats"))!;

        cached.ShouldBe(bundle);
        built.ShouldBe(bundle);
        (await RunningProxy.ProblemAsync(unknown)).Code.ShouldBe("Catalog.Unavailable");
        ((bool)down["degraded"]!).ShouldBeTrue();
        ((bool)up["degraded"]!).ShouldBeFalse();
    }

    [Fact]
    public async Task Start_WhenTheDatabaseIsDown_WaitsAndSaysSo()
    {
        string database = _postgres.CreateDatabase();
        _postgres.Stop();
        Task<ServerProgram> waiting = ServerProgram.StartAsync(Command("late", database), l => l.Contains("cannot be reached yet", StringComparison.Ordinal), StartDeadline);

        await using ServerProgram proxy = await waiting;
        proxy.HasExited.ShouldBeFalse();
        _postgres.Start();

        await Probe.UntilAsync(() => proxy.Log.Contains(" listens on http", StringComparison.Ordinal), "it starts when the database does", StartDeadline);
    }

    private static Uri AddressOf(ServerProgram proxy)
    {
        string line = proxy.Log.Split('\n').First(l => l.Contains(" listens on http", StringComparison.Ordinal));
        return new Uri(line.Split(" listens on ")[1].Split(',')[0]);
    }

    private Task<ServerProgram> StartAsync(string name, string database) =>
        ServerProgram.StartAsync(Command(name, database), line => line.Contains(" listens on http", StringComparison.Ordinal), StartDeadline);

    private string[] Command(string name, string database) =>
        [.. StarlightProgram.Proxy, "--host", "127.0.0.1", "--port", "0", "--data-dir", _scratch[name], "--postgres", database];
}
