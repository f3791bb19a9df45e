using System.Net;
using System.Text.Json.Nodes;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Infrastructure.ProxyClient;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>The program itself: how it stops, what it writes, where it sends traces.</summary>
public sealed class ProcessTests : IAsyncLifetime
{
    /// <summary>More than sockets hold, so that an answer cannot be out before its reader reads.</summary>
    private const int Large = 48_000_000;

    private readonly ScratchDirectory _directory = new();
    private RegistryServer _registry = null!;

    public async Task InitializeAsync()
    {
        Requirements.Program("docker-registry");
        _registry = await RegistryServer.StartAsync();
        await new ImagePusher(_registry.Host, "app").ImageAsync("1", [new TarBuilder().File("large", ProxyFixture.Noise(1, Large)).Build()]);
    }

    public async Task DisposeAsync()
    {
        await _registry.DisposeAsync();
        _directory.Dispose();
    }

    [Fact]
    public async Task Stop_WhileAnAnswerIsBeingSent_LetsItFinish()
    {
        await using ServerProgram proxy = await StartAsync();
        using HttpClient client = await NotifiedAsync(proxy);
        using HttpResponseMessage answer = await client.GetAsync(Delta, HttpCompletionOption.ResponseHeadersRead);

        proxy.Terminate();
        await Probe.UntilAsync(() => proxy.Log.Contains("stopping:", StringComparison.Ordinal), "it has begun to stop");

        (await answer.Content.ReadAsByteArrayAsync()).Length.ShouldBeGreaterThan(Large);
        (await proxy.WaitForExitAsync()).ShouldBe(0, proxy.Log);
    }

    [Fact]
    public async Task Stop_WhenInsistedUpon_CutsAnswersOff()
    {
        await using ServerProgram proxy = await StartAsync();
        using HttpClient client = await NotifiedAsync(proxy);
        using HttpResponseMessage answer = await client.GetAsync(Delta, HttpCompletionOption.ResponseHeadersRead);
        proxy.Terminate();
        await Probe.UntilAsync(() => proxy.Log.Contains("stopping:", StringComparison.Ordinal), "it has begun to stop");
        proxy.HasExited.ShouldBeFalse();

        proxy.Terminate();

        (await proxy.WaitForExitAsync()).ShouldBe(1, proxy.Log);
        Exception cut = await Should.ThrowAsync<Exception>(() => answer.Content.ReadAsByteArrayAsync());
        (cut is HttpRequestException or IOException).ShouldBeTrue(cut.ToString());
    }

    [Fact]
    public async Task Log_AsJson_NamesTheRequestInEveryEntryOfIt()
    {
        await using ServerProgram proxy = await StartAsync("--log-format", "json");
        using HttpClient client = await NotifiedAsync(proxy, "request-17");
        await Probe.UntilAsync(() => proxy.Log.Contains("answered 200", StringComparison.Ordinal), "the request is logged");

        JsonNode[] entries = [.. proxy.Log.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)];
        entries.Where(e => e["Message"]!.GetValue<string>().Contains("notified", StringComparison.Ordinal)).ShouldHaveSingleItem()
            ["Scopes"]!.AsArray().ShouldContain(scope => scope!["Request"] != null && scope["Request"]!.GetValue<string>() == "request-17");
        JsonNode served = entries.Last(e => e["Message"]!.GetValue<string>().Contains("/starlight/notify answered 200", StringComparison.Ordinal));
        served["State"]!["Request"]!.GetValue<string>().ShouldBe("request-17");
    }

    [Fact]
    public async Task Log_OfARequest_NamesTheWorkerUnlessThatWouldSpoilTheLine()
    {
        await using ServerProgram proxy = await StartAsync();
        using HttpClient client = ClientOf(proxy);
        using StarlightProxyClient worker = new() { Worker = "edge-7" };
        ProxyProfile profile = ProxyProfile.Create("p", "http", client.BaseAddress!.Authority, user: null, password: null).Value;
        await worker.NotifyAsync(profile, ImageReference.Parse($"{_registry.Host}/app:1").Value, [], insecure: false, progress: null, CancellationToken.None);
        await Probe.UntilAsync(() => proxy.Log.Contains("/starlight/notify answered 200", StringComparison.Ordinal), "the request is logged");
        proxy.Log.ShouldContain(", worker edge-7, request ");

        using HttpRequestMessage forged = new(HttpMethod.Get, "/starlight/delta");
        forged.Headers.TryAddWithoutValidation("Starlight-Worker", "a, request forged");
        (await client.SendAsync(forged)).Dispose();

        await Probe.UntilAsync(() => proxy.Log.Contains("/starlight/delta answered 400", StringComparison.Ordinal), "the request is logged");
        proxy.Log.ShouldContain(", worker -, request ");
        proxy.Log.ShouldNotContain("forged");
    }

    [Fact]
    public async Task Traces_WhenACollectorIsNamed_AreSentToIt()
    {
        await using FakeRegistry collector = await FakeRegistry.StartAsync();
        await using ServerProgram proxy = await StartAsync(
            new Dictionary<string, string>
            {
                ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Address.ToString(),
                ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
                ["OTEL_BSP_SCHEDULE_DELAY"] = "100",
            });
        using HttpClient client = await NotifiedAsync(proxy);

        await Probe.UntilAsync(() => collector.Requests.Any(r => r.Path == "/v1/traces" && r.Body.Contains("index image", StringComparison.Ordinal)), "a span arrives");
    }

    private string Delta => $"/starlight/delta?platform=linux/amd64&to={_registry.Host}/app:1";

    private Task<ServerProgram> StartAsync(params string[] arguments) => StartAsync(new Dictionary<string, string>(), arguments);

    private Task<ServerProgram> StartAsync(IReadOnlyDictionary<string, string> environment, params string[] arguments) => ServerProgram.StartAsync(
        [.. StarlightProgram.Proxy, "--host", "127.0.0.1", "--port", "0", "--data-dir", _directory["data"], .. arguments],
        line => line.Contains(" listens on http", StringComparison.Ordinal),
        TimeSpan.FromSeconds(60),
        environment);

    /// <summary>A client of a proxy that knows the image.</summary>
    private async Task<HttpClient> NotifiedAsync(ServerProgram proxy, string? requestId = null)
    {
        HttpClient client = ClientOf(proxy);
        using HttpRequestMessage request = new(HttpMethod.Post, $"/starlight/notify?ref={_registry.Host}/app:1");
        request.Headers.Add("X-Request-Id", requestId ?? "setup");
        using HttpResponseMessage answer = await client.SendAsync(request);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        return client;
    }

    private static HttpClient ClientOf(ServerProgram proxy)
    {
        string log = proxy.Log;
        int at = log.IndexOf(" listens on ", StringComparison.Ordinal) + " listens on ".Length;
        return new HttpClient { BaseAddress = new Uri(log[at..log.IndexOf(',', at)]) };
    }
}
