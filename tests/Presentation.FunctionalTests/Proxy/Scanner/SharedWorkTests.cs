using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy.Scanner;

/// <summary>Jobs belong to the database, not to the process that works on them.</summary>
public sealed class SharedWorkTests
{
    /// <summary>Less than the lease: the proxy must not wait for its own.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(45);

    [Fact]
    public async Task Job_WhenTheProxyIsKilledOverIt_IsFinishedByItsNextProcess()
    {
        await using RegistryServer registry = await RegistryServer.StartAsync();
        using ScratchDirectory data = new();
        using ScratchDirectory configuration = new();
        string file = configuration["proxy.json"];
        await File.WriteAllTextAsync(file, ScannerRig.Configuration(registry.Host));
        using ImagePusher pusher = new(registry.Host, "test/big");
        Pushed image = await pusher.ImageAsync("v1", [new TarBuilder().File("noise", ProxyFixture.Noise(1, 60_000_000)).Build()]);

        ServerProgram proxy = await StartAsync(file, data.Path);
        await using (proxy)
        {
            using HttpClient http = ClientOf(proxy);
            using StringContent body = new(ScannerRig.Envelope(new JsonObject
            {
                ["id"] = "1",
                ["action"] = "push",
                ["target"] = new JsonObject { ["repository"] = "test/big", ["tag"] = "v1", ["digest"] = image.Digest.ToString(), ["url"] = $"http://{registry.Host}/v2/test/big/manifests/{image.Digest}" },
            }));
            body.Headers.ContentType = new MediaTypeHeaderValue(ScannerRig.DistributionV1);
            (await http.PostAsync(new Uri("/scanner", UriKind.Relative), body)).EnsureSuccessStatusCode();
            await Probe.UntilAsync(async () => (string?)(await JobAsync(http))["state"] == "running", "the job begun");
            await proxy.KillAsync();
        }

        await using ServerProgram next = await StartAsync(file, data.Path);
        using HttpClient again = ClientOf(next);
        await Probe.UntilAsync(async () => (string?)(await JobAsync(again))["state"] == "done", "the job done by the next process", Soon);
        ((int)(await JobAsync(again))["attempts"]!).ShouldBe(2, "the first process was killed in the middle");
        next.Log.ShouldContain("was left unfinished");
        (await again.GetAsync(new Uri($"/starlight/delta?platform=linux/amd64&to={registry.Host}/test/big:v1-starlight", UriKind.Relative))).EnsureSuccessStatusCode();
        (await next.StopAsync()).ShouldBe(0);
    }

    [Fact]
    public async Task Job_WhenTheProxyIsToldToStop_GoesBackIntoTheQueueUncounted()
    {
        await using ScannerRig rig = await ScannerRig.StartAsync();
        using ImagePusher pusher = new(rig.Registry.Host, "test/big");
        Pushed image = await pusher.ImageAsync("v1", [new TarBuilder().File("noise", ProxyFixture.Noise(1, 60_000_000)).Build()]);
        await rig.AcceptAsync(rig.Event("test/big", "v1", image.Digest.ToString()));
        await rig.JobAsync("test/big:v1", "running");

        await rig.Proxy.RestartAsync();

        ((int)(await rig.JobAsync("test/big:v1", "done"))["attempts"]!).ShouldBe(1);
    }

    [Fact]
    public async Task Jobs_OfProxiesOnOnePostgres_AreEachDoneOnce()
    {
        await using PostgresServer postgres = await PostgresServer.StartAsync();
        string database = postgres.CreateDatabase();
        await using ScannerRig first = await ScannerRig.StartAsync(database: database);
        await using RunningProxy second = await RunningProxy.StartAsync(new CommandLineSettings { Database = database }, ScannerRig.Configuration(first.Registry.Host));
        List<JsonObject> events = [];
        foreach (int i in Enumerable.Range(0, 6))
        {
            using ImagePusher pusher = new(first.Registry.Host, $"index/app{i}");
            events.Add(first.One($"index/app{i}", "v1", (await pusher.ImageAsync("v1", [ProxyFixture.Layer(i)])).Digest.ToString()));
        }

        // Both proxies hear of all of it, as when a registry has both as endpoints.
        await Task.WhenAll(Enumerable.Range(0, 2).Select(async proxy =>
        {
            using StringContent body = new(ScannerRig.Envelope([.. events.Select(e => e.DeepClone())]));
            body.Headers.ContentType = new MediaTypeHeaderValue(ScannerRig.DistributionV1);
            using HttpRequestMessage request = new(HttpMethod.Post, "/scanner") { Content = body };
            request.Headers.TryAddWithoutValidation("Authorization", ScannerRig.Secret);
            using HttpResponseMessage answer = await (proxy == 0 ? first.Proxy.Http : second.Http).SendAsync(request);
            answer.EnsureSuccessStatusCode();
        }));

        await Probe.UntilAsync(async () => (await first.JobsAsync("?state=done")).Length == 6, "all jobs done", TimeSpan.FromSeconds(60));
        JsonNode[] jobs = await first.JobsAsync();
        jobs.Length.ShouldBe(6);
        jobs.ShouldAllBe(j => (int)j["attempts"]! == 1);
        first.Registry.Log.Split('\n').Count(l => l.Contains("http.request.method=GET", StringComparison.Ordinal) && l.Contains("/blobs/", StringComparison.Ordinal) && l.Contains("response completed", StringComparison.Ordinal))
            .ShouldBe(12, "each configuration and layer was read once");
    }

    private static async Task<JsonNode> JobAsync(HttpClient http) => JsonNode.Parse(await http.GetStringAsync(new Uri("/scanner/jobs", UriKind.Relative)))!["jobs"]!.AsArray().Single()!;

    private static Task<ServerProgram> StartAsync(string configuration, string data) => ServerProgram.StartAsync(
        [.. StarlightProgram.Proxy, "--config", configuration, "--host", "127.0.0.1", "--port", "0", "--data-dir", data], line => line.Contains("listens on", StringComparison.Ordinal), TimeSpan.FromSeconds(60));

    private static HttpClient ClientOf(ServerProgram proxy)
    {
        string address = proxy.Log.Split("listens on ")[1].Split(',')[0];
        HttpClient http = new() { BaseAddress = new Uri(address) };
        http.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", ScannerRig.Secret);
        return http;
    }
}
