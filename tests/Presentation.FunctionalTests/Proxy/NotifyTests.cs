using System.Net;
using System.Text.Json.Nodes;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

public sealed class NotifyTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    [Fact]
    public async Task Notify_WhenImageIsASingleManifest_IndexesItForThePlatformOfItsConfiguration()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed image = await pusher.ImageAsync("v1", [ProxyFixture.Layer(1), ProxyFixture.Layer(2)]);

        JsonNode answer = await fixture.Proxy.NotifyAsync($"{name}:v1");

        ((string)answer["digest"]!).ShouldBe(image.Digest.ToString());
        JsonNode indexed = answer["images"]!.AsArray().ShouldHaveSingleItem()!;
        ((string)indexed["platform"]!).ShouldBe("linux/amd64");
        ((string)indexed["digest"]!).ShouldBe(image.Digest.ToString());
        ((bool)indexed["new"]!).ShouldBeTrue();
        ((int)indexed["newLayers"]!).ShouldBe(2);
        ((int)indexed["files"]!).ShouldBe(3, "bin/app of the upper layer, data1, data2");
        ((int)indexed["contents"]!).ShouldBe(3);
        Digest.TryParse((string)indexed["filesystemDigest"]!, out _).ShouldBeTrue();
    }

    [Fact]
    public async Task Notify_WhenRepeated_ReadsNothingAgain()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(3)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        int before = BlobReads(name);

        JsonNode answer = await fixture.Proxy.NotifyAsync($"{name}:v1");

        BlobReads(name).ShouldBe(before);
        ((bool)answer["images"]![0]!["new"]!).ShouldBeFalse();
        ((int)answer["images"]![0]!["knownLayers"]!).ShouldBe(1);
        ((long)answer["newContents"]!).ShouldBe(0);
    }

    [Fact]
    public async Task Notify_WhenAnotherImageSharesALayer_ReadsOnlyTheOtherLayer()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(4)]);
        await pusher.ImageAsync("v2", [ProxyFixture.Layer(4), ProxyFixture.Layer(5)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");

        JsonNode answer = await fixture.Proxy.NotifyAsync($"{name}:v2");

        ((int)answer["images"]![0]!["newLayers"]!).ShouldBe(1);
        ((int)answer["images"]![0]!["knownLayers"]!).ShouldBe(1);
    }

    [Fact]
    public async Task Notify_WhenManyAskAtOnce_ReadsTheImageOnce()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(6), ProxyFixture.Layer(7)]);

        JsonNode[] answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => fixture.Proxy.NotifyAsync($"{name}:v1")));

        BlobReads(name).ShouldBe(3, "a configuration and two layers");
        answers.Select(a => (string)a["digest"]!).Distinct().ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Notify_WhenIndexHasPlatformsAttestationsAndWindows_IndexesLinuxImages()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed amd64 = await pusher.ImageAsync(null, [ProxyFixture.Layer(8)]);
        Pushed arm64 = await pusher.ImageAsync(null, [ProxyFixture.Layer(9)], "linux/arm64");
        Pushed windows = await pusher.ImageAsync(null, [ProxyFixture.Layer(10)], "windows/amd64");
        Pushed attestation = await pusher.AttestationAsync();
        Pushed index = await pusher.IndexAsync(
            "v1",
            amd64.ToDescriptor("linux/amd64"),
            arm64.ToDescriptor("linux/arm64"),
            windows.ToDescriptor("windows/amd64"),
            attestation.ToDescriptor("unknown/unknown", ("vnd.docker.reference.type", "attestation-manifest")));

        JsonNode answer = await fixture.Proxy.NotifyAsync($"{name}:v1");

        ((string)answer["digest"]!).ShouldBe(index.Digest.ToString());
        answer["images"]!.AsArray().Select(i => (string)i!["platform"]!).ShouldBe(["linux/amd64", "linux/arm64"]);
        answer["skipped"]!.AsArray().Count.ShouldBe(2);
    }

    [Fact]
    public async Task Notify_WhenPlatformsAreNamed_IndexesThoseAndRefusesMissingOnes()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed amd64 = await pusher.ImageAsync(null, [ProxyFixture.Layer(11)]);
        Pushed arm64 = await pusher.ImageAsync(null, [ProxyFixture.Layer(12)], "linux/arm64");
        await pusher.IndexAsync("v1", amd64.ToDescriptor("linux/amd64"), arm64.ToDescriptor("linux/arm64"));

        JsonNode answer = await fixture.Proxy.NotifyAsync($"{name}:v1", "&platform=linux/aarch64");
        HttpResponseMessage missing = await fixture.Proxy.Http.PostAsync($"/starlight/notify?ref={name}:v1&platform=linux/s390x", null);

        answer["images"]!.AsArray().Select(i => (string)i!["platform"]!).ShouldBe(["linux/arm64"]);
        (int status, string code, string detail) = await RunningProxy.ProblemAsync(missing);
        (status, code).ShouldBe((404, "Image.PlatformMissing"));
        detail.ShouldContain("linux/s390x");
        detail.ShouldContain("linux/arm64");
    }

    [Fact]
    public async Task Notify_WhenDiffIdIsWrong_FailsLeavesNoTraceAndSucceedsOnceMended()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(13)], diffIds: [Digest.Empty]);

        HttpResponseMessage failed = await fixture.Proxy.Http.PostAsync($"/starlight/notify?ref={name}:v1", null);

        (await RunningProxy.ProblemAsync(failed)).Code.ShouldBe("Image.DiffIdMismatch");
        failed.StatusCode.ShouldBe(HttpStatusCode.BadGateway);
        HttpResponseMessage delta = await fixture.Proxy.Http.GetAsync($"/starlight/delta?to={name}:v1&platform=linux/amd64");
        (await RunningProxy.ProblemAsync(delta)).Code.ShouldBe("Image.NotIndexed");

        await pusher.ImageAsync("v1", [ProxyFixture.Layer(13)]);
        JsonNode answer = await fixture.Proxy.NotifyAsync($"{name}:v1");
        ((int)answer["images"]![0]!["newLayers"]!).ShouldBe(0, "what was found out about the layer is true whatever image lists it");
    }

    [Fact]
    public async Task Notify_WhenFilesystemAnnotationDisagrees_IsRefused()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("bad", [ProxyFixture.Layer(14)], annotations: (StarlightAnnotations.FilesystemDigest, Digest.Empty.ToString()));
        await pusher.ImageAsync("plain", [ProxyFixture.Layer(14)]);

        HttpResponseMessage failed = await fixture.Proxy.Http.PostAsync($"/starlight/notify?ref={name}:bad", null);
        string filesystem = (string)(await fixture.Proxy.NotifyAsync($"{name}:plain"))["images"]![0]!["filesystemDigest"]!;
        await pusher.ImageAsync("good", [ProxyFixture.Layer(14)], annotations: (StarlightAnnotations.FilesystemDigest, filesystem));

        (await RunningProxy.ProblemAsync(failed)).Code.ShouldBe("Image.FilesystemDigestMismatch");
        ((string)(await fixture.Proxy.NotifyAsync($"{name}:good"))["images"]![0]!["filesystemDigest"]!).ShouldBe(filesystem);
    }

    [Fact]
    public async Task Notify_WhenALayerIsDamagedInTheRegistry_Fails()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(15)]);
        Pushed blob = await pusher.BlobAsync([1, 2, 3], "application/octet-stream");
        string directory = Path.Combine(fixture.Registry.StorageDirectory, "docker/registry/v2/blobs/sha256");
        string damaged = Directory.GetFiles(directory, "data", SearchOption.AllDirectories)
            .Where(f => !f.Contains(blob.Digest.Hex, StringComparison.Ordinal)).MaxBy(f => (new FileInfo(f).Length > 3_000_000, File.GetCreationTimeUtc(f)))!;
        byte[] bytes = await File.ReadAllBytesAsync(damaged);
        bytes[^20_000] ^= 1;
        await File.WriteAllBytesAsync(damaged, bytes);

        HttpResponseMessage failed = await fixture.Proxy.Http.PostAsync($"/starlight/notify?ref={name}:v1", null);

        (await RunningProxy.ProblemAsync(failed)).Status.ShouldBe(502);
    }

    [Theory]
    [InlineData("?ref=registry.example/UPPER:v1", 400, "Reference.Malformed")]
    [InlineData("", 400, "Request.RefMissing")]
    [InlineData("?ref=", 400, "Request.RefMissing")]
    [InlineData("?ref=redis&platform=linux", 400, "Platform.Malformed")]
    public async Task Notify_WhenRequestIsMalformed_SaysWhy(string query, int status, string code)
    {
        HttpResponseMessage answer = await fixture.Proxy.Http.PostAsync($"/starlight/notify{query}", null);

        (int actualStatus, string actualCode, _) = await RunningProxy.ProblemAsync(answer);
        (actualStatus, actualCode).ShouldBe((status, code));
    }

    [Fact]
    public async Task Notify_WhenImageIsUnknownToTheRegistry_IsNotFound()
    {
        HttpResponseMessage answer = await fixture.Proxy.Http.PostAsync($"/starlight/notify?ref={fixture.Registry.Host}/no/such:image", null);

        (await RunningProxy.ProblemAsync(answer)).Status.ShouldBe(404);
    }

    [Fact]
    public async Task Notify_WhenRegistryIsDown_IsUnavailableAndSucceedsOnceItIsUp()
    {
        await using RegistryServer registry = await RegistryServer.StartAsync();
        using ImagePusher pusher = new(registry.Host, "a");
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(17)]);
        await registry.StopAsync();

        HttpResponseMessage failed = await fixture.Proxy.Http.PostAsync($"/starlight/notify?ref={registry.Host}/a:v1", null);
        await registry.RestartAsync();

        (await RunningProxy.ProblemAsync(failed)).Status.ShouldBe(503);
        (await fixture.Proxy.NotifyAsync($"{registry.Host}/a:v1"))["images"]!.AsArray().Count.ShouldBe(1);
    }

    [Fact]
    public async Task Notify_WhenClientWantsLines_StreamsProgressAndEndsWithTheResult()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(16)]);
        using HttpRequestMessage request = new(HttpMethod.Post, $"/starlight/notify?ref={name}:v1");
        request.Headers.Accept.ParseAdd("application/x-ndjson");

        using HttpResponseMessage answer = await fixture.Proxy.Http.SendAsync(request);

        answer.Content.Headers.ContentType!.MediaType.ShouldBe("application/x-ndjson");
        JsonNode[] lines = [.. (await answer.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonNode.Parse(l)!)];
        lines[..^1].ShouldAllBe(l => (string)l["type"]! == "progress");
        lines[..^1].Select(l => (string)l["stage"]!).Distinct().ShouldBe(["resolved", "layer", "merging", "storing"]);
        ((string)lines[^1]["type"]!).ShouldBe("result");
        lines[^1]["result"]!["images"]!.AsArray().Count.ShouldBe(1);
    }

    [Fact]
    public async Task Notify_WhenClientWantsLinesAndImageIsUnknown_StillGetsTheStatus()
    {
        using HttpRequestMessage request = new(HttpMethod.Post, $"/starlight/notify?ref={fixture.Registry.Host}/no/such:image");
        request.Headers.Accept.ParseAdd("application/x-ndjson");

        using HttpResponseMessage answer = await fixture.Proxy.Http.SendAsync(request);

        (await RunningProxy.ProblemAsync(answer)).Status.ShouldBe(404);
    }

    /// <summary>Blobs that the registry has been asked for, by its own log.</summary>
    private int BlobReads(string name)
    {
        string path = $"/v2/{name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..]}/blobs/sha256:";
        return fixture.Registry.Log.Split('\n').Count(l => l.Contains($"\"GET {path}", StringComparison.Ordinal));
    }
}
