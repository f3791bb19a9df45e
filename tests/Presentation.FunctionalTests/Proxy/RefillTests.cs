using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>What the content store has given up comes back from a real registry.</summary>
public sealed class RefillTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    [Fact]
    public async Task Delta_WhenAnEvictedLayerIsNotEStargz_ScansItOnceForAllWhoAsk()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(1, ("small", ProxyFixture.Noise(9, 500))), ProxyFixture.Layer(2)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        byte[] expected = await fixture.Proxy.DeltaAsync($"to={name}:v1");
        await ForgetAsync(fixture.Proxy);
        int before = BlobReads(name);

        byte[][] bundles = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => fixture.Proxy.DeltaAsync($"to={name}:v1")));

        bundles.ShouldAllBe(b => b.SequenceEqual(expected));
        (BlobReads(name) - before).ShouldBe(2, "each layer once");
    }

    [Fact]
    public async Task Delta_WhenAnEvictedLayerIsEStargz_ReadsOnlyTheMembersItNeeds()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("plain", [ProxyFixture.Layer(3, ("a/one", ProxyFixture.Noise(31, 200_000)), ("b/chunked", ProxyFixture.Noise(32, 9_000_000)), ("c/tiny", ProxyFixture.Noise(33, 10)))]);
        await pusher.ImageAsync("base", [new TarBuilder().File("x/one", ProxyFixture.Noise(1003, 3_000_000)).File("x/two", ProxyFixture.Noise(32, 9_000_000)).Build()]);
        await ConvertAsync($"{name}:plain", $"{name}:star");
        await fixture.Proxy.NotifyAsync($"{name}:star");
        JsonNode based = await fixture.Proxy.NotifyAsync($"{name}:base");
        BundleContents before = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:star"));
        string delta = $"to={name}:star&from={name}@{based["digest"]}";
        byte[] part = await fixture.Proxy.DeltaAsync(delta);
        await ForgetAsync(fixture.Proxy);
        string log = fixture.Registry.Log;

        byte[] again = await fixture.Proxy.DeltaAsync(delta);
        int ranges = fixture.Registry.Log[log.Length..].Split('\n').Count(l => l.Contains("\"GET /v2/", StringComparison.Ordinal) && l.Contains("/blobs/", StringComparison.Ordinal) && l.Contains(" 206 ", StringComparison.Ordinal));
        long stored = Contents(fixture.Proxy);
        BundleContents whole = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:star"));

        again.ShouldBe(part);
        ranges.ShouldBeInRange(1, 3);
        stored.ShouldBe(3, "app, one and tiny; what the worker has is not fetched");
        whole.Contents.Keys.Order().ShouldBe(before.Contents.Keys.Order());
    }

    [Fact]
    public async Task Delta_WhenStoreIsSmallerThanTheImages_StaysNearItsLimitAndServesThemAll()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(storeLimit: "7MB");
        (ImagePusher pusher, string name) = fixture.NewRepository();
        for (int i = 0; i < 5; i++)
        {
            await pusher.ImageAsync($"v{i}", [ProxyFixture.Layer(100 + i)]);
            await proxy.NotifyAsync($"{name}:v{i}");
            StoredBytes(proxy).ShouldBeLessThan(7_000_000 + 3_100_000);
        }

        for (int i = 0; i < 5; i++)
        {
            BundleContents bundle = await BundleContents.ReadAsync(await proxy.DeltaAsync($"to={name}:v{i}"));
            bundle.Contents.Count.ShouldBe(2);
        }

        await Probe.UntilAsync(() => StoredBytes(proxy) <= 7_000_000, "the store shrinks to its limit when the last bundle is built");
    }

    [Fact]
    public async Task Delta_WhenRegistryIsDownAndContentsAreGone_FailsAndWorksOnceItIsBack()
    {
        await using RegistryServer registry = await RegistryServer.StartAsync();
        using ImagePusher pusher = new(registry.Host, "a");
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(17)]);
        await fixture.Proxy.NotifyAsync($"{registry.Host}/a:v1");
        await ForgetAsync(fixture.Proxy);
        await registry.StopAsync();

        HttpResponseMessage ranged = await RangeAsync($"{registry.Host}/a:v1");
        await registry.RestartAsync();
        BundleContents bundle = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={registry.Host}/a:v1"));

        (await RunningProxy.ProblemAsync(ranged)).Status.ShouldBe(503);
        bundle.Contents.Count.ShouldBe(2);
    }

    /// <summary>The registry holds its contents back, so a bundle is being built for as long as this test wants.</summary>
    [Fact]
    public async Task Range_OfABundleThatIsBeingBuilt_IsAnsweredWhenItsBytesAreThere()
    {
        await using TcpRelay relay = new() { TargetPort = fixture.Registry.Port };
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(90)]);
        string reference = $"127.0.0.1:{relay.Port}{name[name.IndexOf('/', StringComparison.Ordinal)..]}:v1";
        await fixture.Proxy.NotifyAsync(reference);
        byte[] expected = await fixture.Proxy.DeltaAsync($"to={reference}");
        await ForgetAsync(fixture.Proxy);
        relay.Rule = new RelayRule { HoldAfter = 0 };

        HttpResponseMessage part = await RangeAsync(reference, 10, 99);
        HttpResponseMessage followed = await RangeAsync(reference, 10, RequestedPart.VeryLarge);
        HttpResponseMessage another = await RangeAsync(reference, 10, 99, r => r.Headers.IfRange = new RangeConditionHeaderValue("\"other\""));
        HttpResponseMessage refused = await RangeAsync(reference, 10, 99, r => r.Headers.IfMatch.Add(new EntityTagHeaderValue("\"other\"")));
        Task<HttpResponseMessage> rest = RangeAsync(reference, 100, null);
        Task<HttpResponseMessage> beyond = RangeAsync(reference, expected.Length, expected.Length + 9);

        (part.StatusCode, part.Content.Headers.ContentRange?.ToString(), part.Content.Headers.ContentLength).ShouldBe((HttpStatusCode.PartialContent, "bytes 10-99/*", 90));
        (await part.Content.ReadAsByteArrayAsync()).ShouldBe(expected[10..100]);
        (followed.StatusCode, followed.Content.Headers.ContentRange?.ToString(), followed.Content.Headers.ContentLength).ShouldBe((HttpStatusCode.PartialContent, "bytes 10-9007199254740991/*", null));
        (another.StatusCode, another.Content.Headers.ContentRange).ShouldBe((HttpStatusCode.OK, null));
        refused.StatusCode.ShouldBe(HttpStatusCode.PreconditionFailed);
        (rest.IsCompleted || beyond.IsCompleted).ShouldBeFalse("nobody knows the length yet");

        relay.Rule = RelayRule.None;
        (await followed.Content.ReadAsByteArrayAsync()).ShouldBe(expected[10..]);
        (await another.Content.ReadAsByteArrayAsync()).ShouldBe(expected);
        (await rest).Content.Headers.ContentRange?.ToString().ShouldBe($"bytes 100-{expected.Length - 1}/{expected.Length}");
        ((await beyond).StatusCode, (await beyond).Content.Headers.ContentRange?.ToString()).ShouldBe((HttpStatusCode.RequestedRangeNotSatisfiable, $"bytes */{expected.Length}"));
    }

    [Fact]
    public async Task Notify_WhenAProxyKnowsTheLayersButHasNoContents_ChoosesTheSameOrder()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        byte[] script = "#!/bin/interpreter\n"u8.ToArray();
        byte[] layer = new TarBuilder().Directory("bin").File("bin/app", script, 0x1ed).File("a", ProxyFixture.Noise(41, 100)).File("bin/interpreter", ProxyFixture.Noise(42, 100), 0x1ed).Build();
        await pusher.ImageAsync("v1", [layer]);
        await pusher.ImageAsync("v2", [layer, new TarBuilder().File("z", ProxyFixture.Noise(44, 10)).Build()]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        await ForgetAsync(fixture.Proxy);
        await fixture.Proxy.NotifyAsync($"{name}:v2");
        await using RunningProxy other = await RunningProxy.StartAsync();
        await other.NotifyAsync($"{name}:v2");

        byte[] here = await fixture.Proxy.DeltaAsync($"to={name}:v2");
        byte[] there = await other.DeltaAsync($"to={name}:v2");

        here.ShouldBe(there);
    }

    /// <summary>As if everything had been evicted: contents and bundles.</summary>
    private static async Task ForgetAsync(RunningProxy proxy)
    {
        foreach (string directory in Directory.GetDirectories(Path.Combine(proxy.DataDirectory, "contents")).Where(d => Path.GetFileName(d).Length == 2))
        {
            Directory.Delete(directory, recursive: true);
        }

        foreach (string bundle in await proxy.BundleFilesAsync())
        {
            File.Delete(bundle);
        }

        await proxy.RestartAsync();
    }

    private static string[] Files(RunningProxy proxy) =>
        [.. Directory.GetDirectories(Path.Combine(proxy.DataDirectory, "contents")).Where(d => Path.GetFileName(d).Length == 2).SelectMany(Directory.GetFiles)];

    private static long Contents(RunningProxy proxy) => Files(proxy).Length;

    private static long StoredBytes(RunningProxy proxy) => Files(proxy).Select(f => new FileInfo(f)).Where(f => f.Exists).Sum(f => f.Length);

    private static async Task ConvertAsync(string from, string to)
    {
        using ScratchDirectory cache = new();
        using ChildProcess child = ChildProcess.Start(
            StarlightProgram.Cli[0], [.. StarlightProgram.Cli.Skip(1), "convert", "-q", from, to], new Dictionary<string, string> { ["XDG_CACHE_HOME"] = cache.Path });
        (await child.WaitAsync(TimeSpan.FromMinutes(1))).Succeeded();
    }

    private Task<HttpResponseMessage> RangeAsync(string reference, long from = 100, long? to = null, Action<HttpRequestMessage>? more = null)
    {
        HttpRequestMessage request = new(HttpMethod.Get, $"/starlight/delta?to={reference}&platform=linux/amd64");
        request.Headers.Range = new RangeHeaderValue(from, to);
        more?.Invoke(request);
        return fixture.Proxy.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>Blobs that the registry has been asked for, by its own log.</summary>
    private int BlobReads(string name)
    {
        string path = $"/v2/{name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..]}/blobs/sha256:";
        return fixture.Registry.Log.Split('\n').Count(l => l.Contains($"\"GET {path}", StringComparison.Ordinal));
    }
}
