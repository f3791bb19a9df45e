using System.Text.Json.Nodes;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy.Scanner;

/// <summary>Against a real registry that sends its own notifications.</summary>
public sealed class ScannerTests
{
    [Fact]
    public async Task Push_WhenARuleConverts_LeavesAConvertedAndIndexedImage()
    {
        await using ScannerRig rig = await ScannerRig.StartAsync();
        await rig.ConnectAsync();
        using ImagePusher pusher = new(rig.Registry.Host, "test/app");

        Pushed image = await pusher.ImageAsync("v1", [ProxyFixture.Layer(1), ProxyFixture.Layer(2)]);
        JsonNode job = await rig.JobAsync("test/app:v1", "done");

        ((string)job["destination"]!).ShouldBe($"{rig.Registry.Host}/test/app:v1-starlight");
        ((string)job["digest"]!).ShouldBe(image.Digest.ToString());
        ((string)job["rule"]!).ShouldBe("test/*:*");
        JsonNode indexed = await rig.Proxy.NotifyAsync("test/app:v1-starlight");
        ((string)indexed["digest"]!).ShouldBe((string)job["result"]!);
        ((bool)indexed["images"]![0]!["new"]!).ShouldBeFalse("the job has indexed it");
        (await rig.Proxy.DeltaAsync($"to={rig.Registry.Host}/test/app:v1-starlight")).Length.ShouldBeGreaterThan(3_000_000);
    }

    [Fact]
    public async Task Push_WhenTheProxyItselfPushed_StartsNothing()
    {
        await using ScannerRig rig = await ScannerRig.StartAsync();
        await rig.ConnectAsync();
        using ImagePusher pusher = new(rig.Registry.Host, "test/app");
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(1)]);
        await rig.JobAsync("test/app:v1", "done");

        // Events come in order here: when this one has been done, those of the proxy's own push have been seen.
        using ImagePusher other = new(rig.Registry.Host, "index/app");
        await other.ImageAsync("v1", [ProxyFixture.Layer(2)]);
        await rig.JobAsync("index/app:v1", "done");

        (await rig.JobsAsync()).Select(j => (string)j["source"]!).ShouldBe([$"{rig.Registry.Host}/index/app:v1", $"{rig.Registry.Host}/test/app:v1"], ignoreOrder: true);
        (await TagsAsync(rig, "test/app")).ShouldBe(["v1", "v1-starlight"], ignoreOrder: true);
    }

    [Fact]
    public async Task Push_WhenARuleIndexes_IndexesWhatWasPushed()
    {
        await using ScannerRig rig = await ScannerRig.StartAsync();
        await rig.ConnectAsync();
        using ImagePusher pusher = new(rig.Registry.Host, "index/app");

        Pushed image = await pusher.ImageAsync("v1", [ProxyFixture.Layer(1)]);
        JsonNode job = await rig.JobAsync("index/app:v1", "done");

        ((string)job["result"]!).ShouldBe(image.Digest.ToString());
        job["destination"].ShouldBeNull();
        (await TagsAsync(rig, "index/app")).ShouldBe(["v1"]);
    }

    [Fact]
    public async Task Push_WhenTheTagMoves_FollowsIt()
    {
        await using ScannerRig rig = await ScannerRig.StartAsync();
        await rig.ConnectAsync();
        using ImagePusher pusher = new(rig.Registry.Host, "index/app");
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(1)]);
        await rig.JobAsync("index/app:v1", "done");

        Pushed second = await pusher.ImageAsync("v1", [ProxyFixture.Layer(2)]);

        await Probe.UntilAsync(async () => (string?)(await rig.JobsAsync("?ref=index/app:v1&state=done")).SingleOrDefault()?["result"] == second.Digest.ToString(), "the tag's new image indexed");
    }

    [Fact]
    public async Task Push_WhenItIsNoImage_IsSkipped()
    {
        await using ScannerRig rig = await ScannerRig.StartAsync();
        await rig.ConnectAsync();
        using ImagePusher pusher = new(rig.Registry.Host, "test/chart");
        Pushed config = await pusher.BlobAsync("{}"u8.ToArray(), "application/vnd.cncf.helm.config.v1+json");
        Pushed chart = await pusher.BlobAsync([1, 2, 3], "application/vnd.cncf.helm.chart.content.v1.tar+gzip");

        await pusher.ManifestAsync(
            new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = "application/vnd.oci.image.manifest.v1+json", ["config"] = config.ToDescriptor(), ["layers"] = new JsonArray(chart.ToDescriptor()) }, "v1");
        JsonNode job = await rig.JobAsync("test/chart:v1", "skipped");

        ((string)job["error"]!["code"]!).ShouldBe("Convert.NotAnImage");
    }

    [Fact]
    public async Task Push_WhenTheProxyIsDown_IsDoneOnceItIsBack()
    {
        await using ScannerRig rig = await ScannerRig.StartAsync();
        using ImagePusher pusher = new(rig.Registry.Host, "index/app");
        Pushed image = await pusher.ImageAsync("v1", [ProxyFixture.Layer(1)]);
        await rig.Registry.StopAsync();
        await rig.AcceptAsync(rig.Event("index/app", "v1", image.Digest.ToString()));
        JsonNode waiting = (await rig.JobsAsync()).Single();
        await Probe.UntilAsync(async () => (waiting = (await rig.JobsAsync()).Single())["error"] is not null || (string?)waiting["state"] == "running", "an attempt");

        await rig.Proxy.RestartAsync();
        await rig.Registry.RestartAsync();

        await rig.JobAsync("index/app:v1", "done");
    }

    private static async Task<string[]> TagsAsync(ScannerRig rig, string repository)
    {
        using HttpClient http = new();
        JsonNode tags = JsonNode.Parse(await http.GetStringAsync($"http://{rig.Registry.Host}/v2/{repository}/tags/list"))!;
        return [.. tags["tags"]!.AsArray().Select(t => (string)t!)];
    }
}
