using System.Text.Json.Nodes;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

public sealed class PreparationTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    [Fact]
    public async Task Notify_OfANewVersion_PreparesTheBundleForTheWorkersThatHaveTheLastOne()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings(), "{}");
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed first = await NotifyAsync(proxy, pusher, name, "v1", 1);
        await proxy.DeltaAsync($"to={name}:v1&patch=true");

        await NotifyAsync(proxy, pusher, name, "v2", 2);

        await Probe.UntilAsync(async () => await BundlesAsync(proxy) == (2, 0), "the update is built");
        string query = $"to={name}:v2&from={name}:v1@{first.Digest}&patch=true";
        byte[] update = await proxy.DeltaAsync(query);
        (await BundlesAsync(proxy)).ShouldBe((2, 0), "what was prepared is what was asked for");

        // the same bytes as without preparation
        await using RunningProxy plain = await RunningProxy.StartAsync();
        await plain.NotifyAsync($"{name}:v1");
        await plain.DeltaAsync($"to={name}:v1&patch=true");
        await plain.NotifyAsync($"{name}:v2");
        (await plain.DeltaAsync(query)).ShouldBe(update);
    }

    [Fact]
    public async Task Notify_AfterARestart_PreparesForTheVersionThatWasWantedLast()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings(), "{}");
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await NotifyAsync(proxy, pusher, name, "v1", 3);
        Pushed second = await NotifyAsync(proxy, pusher, name, "latest", 4);
        await proxy.DeltaAsync($"to={name}:latest");
        await Probe.UntilAsync(
            async () =>
            {
                JsonNode image = JsonNode.Parse(await proxy.Http.GetStringAsync($"/starlight/admin/image?ref={name}:latest"))!["images"]![0]!["image"]!;
                return (string)image["usedAt"]! != (string)image["indexedAt"]!;
            },
            "its use is noted");
        await proxy.RestartAsync();
        (int before, _) = await BundlesAsync(proxy);

        // the tag moves on: the version that workers have has no name any more
        await NotifyAsync(proxy, pusher, name, "latest", 5);

        await Probe.UntilAsync(async () => await BundlesAsync(proxy) == (before + 1, 0), "the update is built");
        await proxy.DeltaAsync($"to={name}:latest&from={name}@{second.Digest}&patch=true");
        (await BundlesAsync(proxy)).ShouldBe((before + 1, 0));
    }

    [Fact]
    public async Task Notify_OfAnImageThatWorkersHave_PreparesNothing()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings(), "{}");
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await NotifyAsync(proxy, pusher, name, "v1", 6);
        await proxy.DeltaAsync($"to={name}:v1");
        (ImagePusher otherPusher, string other) = fixture.NewRepository();

        await proxy.NotifyAsync($"{name}:v1");
        await NotifyAsync(proxy, otherPusher, other, "v1", 7);

        // the next thing that is prepared comes after these two
        await NotifyAsync(proxy, pusher, name, "v2", 8);
        await Probe.UntilAsync(async () => await BundlesAsync(proxy) == (2, 0), "the update is built");
    }

    [Fact]
    public async Task Report_ThatChangesTheOrder_PreparesTheBundleAnewAndDropsTheOneThatNobodyTook()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings(), """{ "prepare_after_seconds": 0 }""");
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed first = await NotifyAsync(proxy, pusher, name, "v1", 9);
        await proxy.DeltaAsync($"to={name}:v1&patch=true");
        string[] whole = await proxy.BundleFilesAsync();
        Pushed second = await NotifyAsync(proxy, pusher, name, "v2", 10);
        await Probe.UntilAsync(async () => await BundlesAsync(proxy) == (2, 0), "the update is built");
        string[] before = [.. (await proxy.BundleFilesAsync()).Except(whole)];

        // opened first is what path order puts last
        await ReportTests.ReportAsync(proxy, ReportTests.Trace(second.Digest, [Text(60)]));

        string[] after = [];
        await Probe.UntilAsync(
            async () =>
            {
                after = [.. (await proxy.BundleFilesAsync()).Except(whole).Except(before)];
                return after.Length == before.Length && await BundlesAsync(proxy) == (2, 0);
            },
            "the update is built in its new order, and the old one is gone");
        before.ShouldAllBe(f => !File.Exists(f));
        byte[] update = await proxy.DeltaAsync($"to={name}:v2&from={name}:v1@{first.Digest}&patch=true");
        (await BundlesAsync(proxy)).ShouldBe((2, 0), "what was prepared is what was asked for");
        update.ShouldBe(await File.ReadAllBytesAsync(after.Single(f => !f.EndsWith(".images", StringComparison.Ordinal))));
    }

    private static async Task<Pushed> NotifyAsync(RunningProxy proxy, ImagePusher pusher, string name, string tag, int seed)
    {
        Pushed image = await pusher.ImageAsync(tag, [ProxyFixture.Layer(1, ("text", Text(seed)), ("zext", Text(seed + 50)))]);
        await proxy.NotifyAsync($"{name}:{tag}");
        return image;
    }

    private static byte[] Text(int seed)
    {
        byte[] text = [.. Enumerable.Range(0, 200_000).Select(i => (byte)('a' + (i * i / 7 % 26)))];
        text[seed * 1000] = (byte)'!';
        return text;
    }

    private static async Task<(int Finished, int Building)> BundlesAsync(RunningProxy proxy)
    {
        JsonNode statistics = JsonNode.Parse(await proxy.Http.GetStringAsync("/starlight/admin/stats"))!;
        return ((int)statistics["bundles"]!, (int)statistics["bundlesBuilding"]!);
    }
}
