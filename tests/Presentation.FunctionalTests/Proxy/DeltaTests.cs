using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.ProxyClient;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

public sealed class DeltaTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    [Fact]
    public async Task Delta_WhenNothingIsThereYet_BringsEveryContentOfTheMergedTree()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed image = await pusher.ImageAsync("v1", [ProxyFixture.Layer(1, ("big", ProxyFixture.Noise(77, 5_000_000))), ProxyFixture.Layer(2)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");

        HttpResponseMessage answer = await fixture.Proxy.Http.GetAsync($"/starlight/delta?to={name}:v1&platform=linux/amd64");
        BundleContents bundle = await BundleContents.ReadAsync(await answer.Content.ReadAsByteArrayAsync());

        answer.Content.Headers.ContentType!.MediaType.ShouldBe("application/vnd.starlight.delta-bundle.v2");
        answer.Headers.GetValues("Starlight-Image-Digest").ShouldBe([image.Digest.ToString()]);
        answer.Headers.GetValues("Starlight-Filesystem-Digest").ShouldBe([bundle.Images[0].FilesystemDigest.ToString()]);
        answer.Headers.GetValues("Starlight-Protocol").ShouldBe(["1"]);
        answer.Headers.GetValues("Starlight-Version").ShouldNotBeEmpty();
        Digest.Of(bundle.Images[0].Manifest.Span).ShouldBe(image.Digest);
        bundle.Images[0].Reference.ShouldBe($"{name}:v1");
        bundle.Contents.Keys.Order().ShouldBe(new[]
        {
            ProxyFixture.Noise(77, 5_000_000), ProxyFixture.Noise(1001, 3_000_000), ProxyFixture.Noise(1002, 3_000_000), ProxyFixture.Noise(2, 40_000),
        }.Select(c => Digest.Of(c)).Order());
    }

    [Fact]
    public async Task Delta_WhenAskedTwiceAndAfterRestart_IsTheSameBytesUnderTheSameTag()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(3)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        string path = $"/starlight/delta?to={name}:v1&platform=linux/amd64";
        HttpResponseMessage first = await fixture.Proxy.Http.GetAsync(path);
        byte[] bytes = await first.Content.ReadAsByteArrayAsync();

        foreach (string file in await fixture.Proxy.BundleFilesAsync())
        {
            File.Delete(file);
        }

        await fixture.Proxy.RestartAsync();
        HttpResponseMessage second = await fixture.Proxy.Http.GetAsync(path);

        (await second.Content.ReadAsByteArrayAsync()).ShouldBe(bytes);
        second.Headers.ETag.ShouldBe(first.Headers.ETag);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Delta_WhenWorkerHasABase_LeavesItsContentsOut(bool byIndexDigest)
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        byte[] common = ProxyFixture.Noise(500, 100_000);
        Pushed old = await pusher.ImageAsync("old", [ProxyFixture.Layer(20, ("elsewhere/x", common))]);
        Pushed index = await pusher.IndexAsync("old", old.ToDescriptor("linux/amd64"));
        await pusher.ImageAsync("new", [ProxyFixture.Layer(20), ProxyFixture.Layer(21, ("here/y", common))]);
        await fixture.Proxy.NotifyAsync($"{name}:old");
        await fixture.Proxy.NotifyAsync($"{name}:new");

        BundleContents bundle = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:new&from={name}@{(byIndexDigest ? index.Digest : old.Digest)}"));

        bundle.Contents.Keys.Order().ShouldBe(new[] { ProxyFixture.Noise(21, 40_000), ProxyFixture.Noise(1021, 3_000_000) }.Select(c => Digest.Of(c)).Order());
    }

    [Fact]
    public async Task Delta_WhenOnlyTheLowestLayersAreWanted_IsThatOfAnImageOfTheseLayers()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        byte[][] layers = [ProxyFixture.Layer(25), ProxyFixture.Layer(26), ProxyFixture.Layer(27)];
        Pushed whole = await pusher.ImageAsync("whole", layers);
        await pusher.ImageAsync("lower", layers[..2]);
        await fixture.Proxy.NotifyAsync($"{name}:whole");
        await fixture.Proxy.NotifyAsync($"{name}:lower");

        HttpResponseMessage answer = await fixture.Proxy.Http.GetAsync($"/starlight/delta?to={name}:whole&platform=linux/amd64&layers=2");
        BundleContents part = await BundleContents.ReadAsync(await answer.Content.ReadAsByteArrayAsync());
        BundleContents lower = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:lower"));
        BundleContents all = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:whole&layers=3"));

        answer.Headers.GetValues("Starlight-Layers").ShouldBe(["2"]);
        Digest.Of(part.Images[0].Manifest.Span).ShouldBe(whole.Digest);
        part.Images[0].FilesystemImage.ToArray().ShouldBe(lower.Images[0].FilesystemImage.ToArray());
        part.Contents.Keys.ShouldBe(lower.Contents.Keys, ignoreOrder: true);
        all.Images[0].FilesystemImage.ToArray().ShouldBe((await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:whole"))).Images[0].FilesystemImage.ToArray());
        (int status, string code, _) = await RunningProxy.ProblemAsync(await fixture.Proxy.Http.GetAsync($"/starlight/delta?to={name}:whole&platform=linux/amd64&layers=4"));
        (status, code).ShouldBe((400, "Delta.LayersOutOfRange"));
    }

    [Fact]
    public async Task Delta_WhenPatchesAreAskedFor_TellsWhatDiffersUnderATagOfItsOwn()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        byte[] app = ProxyFixture.Noise(600, 2_000_000);
        byte[] changed = [.. app[..700_000], .. "inserted"u8, .. app[700_000..]];
        Pushed old = await pusher.ImageAsync("old", [ProxyFixture.Layer(25, ("app", app))]);
        await pusher.ImageAsync("new", [ProxyFixture.Layer(25, ("app", changed))]);
        await fixture.Proxy.NotifyAsync($"{name}:old");
        await fixture.Proxy.NotifyAsync($"{name}:new");
        string path = $"/starlight/delta?platform=linux/amd64&to={name}:new&from={name}@{old.Digest}";

        HttpResponseMessage whole = await fixture.Proxy.Http.GetAsync(path);
        HttpResponseMessage patched = await fixture.Proxy.Http.GetAsync(path + "&patch=true");
        byte[] bytes = await patched.Content.ReadAsByteArrayAsync();
        HttpResponseMessage rest = await SendAsync(
            path + "&patch=true", HttpMethod.Get, r => (r.Headers.Range, r.Headers.IfRange) = (new RangeHeaderValue(500, null), new RangeConditionHeaderValue(patched.Headers.ETag!)));
        BundleContents had = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:old"));

        (await BundleContents.ReadAsync(bytes, had)).Contents.ShouldHaveSingleItem().Value.ShouldBe(changed);
        bytes.Length.ShouldBeLessThan(3_000);
        (await whole.Content.ReadAsByteArrayAsync()).Length.ShouldBeGreaterThan(changed.Length);
        patched.Headers.ETag.ShouldNotBe(whole.Headers.ETag);
        (await rest.Content.ReadAsByteArrayAsync()).ShouldBe(bytes[500..]);
    }

    [Fact]
    public async Task Delta_WhenSeveralImagesAreWanted_BringsSharedContentsOnce()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("a", [ProxyFixture.Layer(30), ProxyFixture.Layer(31)]);
        await pusher.ImageAsync("b", [ProxyFixture.Layer(30), ProxyFixture.Layer(32)]);
        await fixture.Proxy.NotifyAsync($"{name}:a");
        await fixture.Proxy.NotifyAsync($"{name}:b");

        BundleContents bundle = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:a&to={name}:b"));

        bundle.Images.Select(i => i.Reference).ShouldBe([$"{name}:a", $"{name}:b"]);
        bundle.Contents.Count.ShouldBe(5);
    }

    [Fact]
    public async Task Delta_WhenTagMoved_ServesTheNewImageAndTheOldOneByDigest()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed old = await pusher.ImageAsync("v", [ProxyFixture.Layer(40)]);
        await fixture.Proxy.NotifyAsync($"{name}:v");
        Pushed now = await pusher.ImageAsync("v", [ProxyFixture.Layer(41)]);
        await fixture.Proxy.NotifyAsync($"{name}:v");

        BundleContents byTag = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:v"));
        BundleContents byDigest = await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}@{old.Digest}"));

        Digest.Of(byTag.Images[0].Manifest.Span).ShouldBe(now.Digest);
        Digest.Of(byDigest.Images[0].Manifest.Span).ShouldBe(old.Digest);
    }

    [Fact]
    public async Task Delta_WhenResumedByRange_ContinuesTheSameBytes()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(50)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        string path = $"/starlight/delta?to={name}:v1&platform=linux/amd64";
        HttpResponseMessage whole = await fixture.Proxy.Http.GetAsync(path);
        byte[] bytes = await whole.Content.ReadAsByteArrayAsync();
        EntityTagHeaderValue tag = whole.Headers.ETag!;

        HttpResponseMessage rest = await SendAsync(path, HttpMethod.Get, r => (r.Headers.Range, r.Headers.IfRange) = (new RangeHeaderValue(1_000_001, null), new RangeConditionHeaderValue(tag)));
        HttpResponseMessage other = await SendAsync(path, HttpMethod.Get, r => (r.Headers.Range, r.Headers.IfRange) = (new RangeHeaderValue(1_000_001, null), new RangeConditionHeaderValue(new EntityTagHeaderValue("\"other\""))));
        HttpResponseMessage beyond = await SendAsync(path, HttpMethod.Get, r => r.Headers.Range = new RangeHeaderValue(bytes.Length, null));
        HttpResponseMessage unchanged = await SendAsync(path, HttpMethod.Get, r => r.Headers.IfNoneMatch.Add(tag));
        HttpResponseMessage head = await SendAsync(path, HttpMethod.Head, _ => { });

        rest.StatusCode.ShouldBe(HttpStatusCode.PartialContent);
        (await rest.Content.ReadAsByteArrayAsync()).ShouldBe(bytes[1_000_001..]);
        other.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await other.Content.ReadAsByteArrayAsync()).ShouldBe(bytes);
        beyond.StatusCode.ShouldBe(HttpStatusCode.RequestedRangeNotSatisfiable);
        unchanged.StatusCode.ShouldBe(HttpStatusCode.NotModified);
        head.StatusCode.ShouldBe(HttpStatusCode.OK);
        head.Content.Headers.ContentLength.ShouldBe(bytes.Length);
        head.Headers.ETag.ShouldBe(tag);
        head.Headers.AcceptRanges.ShouldBe(["bytes"]);
    }

    [Fact]
    public async Task Delta_WhenARangeIsTheFirstRequest_WaitsForTheBundleAndAnswersIt()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(51)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        string path = $"/starlight/delta?to={name}:v1&platform=linux/amd64";

        HttpResponseMessage rest = await SendAsync(path, HttpMethod.Get, r => r.Headers.Range = new RangeHeaderValue(100, null));

        rest.StatusCode.ShouldBe(HttpStatusCode.PartialContent);
        byte[] bytes = await rest.Content.ReadAsByteArrayAsync();
        bytes.ShouldBe((await fixture.Proxy.Http.GetByteArrayAsync(path))[100..]);
    }

    [Fact]
    public async Task Delta_WhenManyAskAtOnce_AllGetTheSameBytes()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(60), ProxyFixture.Layer(61)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");

        byte[][] bundles = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => fixture.Proxy.DeltaAsync($"to={name}:v1")));

        bundles.Select(ProxyFixture.Hex).Distinct().ShouldHaveSingleItem();
        await fixture.Proxy.BundleFilesAsync();
    }

    [Fact]
    public async Task Delta_WhenAContentIsDamagedOnDisk_CutsTheAnswerOffAndTheNextBringsIt()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(70)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        Digest content = Digest.Of(ProxyFixture.Noise(1070, 3_000_000));
        string file = Path.Combine(fixture.Proxy.DataDirectory, "contents", content.ObjectPath);
        byte[] bytes = await File.ReadAllBytesAsync(file);
        bytes[2_000_000] ^= 1;
        await File.WriteAllBytesAsync(file, bytes);

        await Should.ThrowAsync<HttpRequestException>(() => fixture.Proxy.DeltaAsync($"to={name}:v1"));

        (await BundleContents.ReadAsync(await fixture.Proxy.DeltaAsync($"to={name}:v1"))).Contents.ShouldContainKey(content);
    }

    [Fact]
    public async Task Delta_WhenBaseIsUnknown_SaysSo()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(80)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");

        HttpResponseMessage answer = await fixture.Proxy.Http.GetAsync($"/starlight/delta?to={name}:v1&platform=linux/amd64&from={name}@{Digest.Empty}");

        (int status, string code, _) = await RunningProxy.ProblemAsync(answer);
        (status, code).ShouldBe((409, "Bundle.BaseUnknown"));
    }

    /// <summary>A worker asks once more, without exactly these.</summary>
    [Fact]
    public async Task Delta_WhenSomeBasesAreUnknown_NamesThem()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed pushed = await pusher.ImageAsync("v1", [ProxyFixture.Layer(81)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        ImageReference image = ImageReference.Parse($"{name}:v1").Value;
        BaseImage[] unknown = [.. new[] { "collected"u8.ToArray(), "from another proxy"u8.ToArray() }.Select(b => new BaseImage(image, Digest.Of(b)))];
        DeltaRequest request = new([image], new Platform("linux", "amd64"), [unknown[0], new BaseImage(image, pushed.Digest), unknown[1]]);
        await using ServiceProvider adapters = new ServiceCollection().AddFilesystemImages().BuildServiceProvider();
        using StarlightProxyClient client = new(adapters.GetRequiredService<IFilesystemImages>());
        ProxyProfile profile = ProxyProfile.Create("p", "http", fixture.Proxy.Address.Authority, user: null, password: null).Value;

        FailureException refused = await Should.ThrowAsync<FailureException>(() => client.RequestDeltaAsync(profile, request, CancellationToken.None));

        refused.Error.Code.ShouldBe("Bundle.BaseUnknown");
        refused.Error.Subjects.ShouldBe(unknown.Select(b => image.WithDigest(b.ManifestDigest).ToString()));
    }

    [Theory]
    [InlineData("to=registry.example/never/seen:v1&platform=linux/amd64", 404, "Image.NotIndexed")]
    [InlineData("platform=linux/amd64", 400, "Delta.ToCount")]
    [InlineData("to=redis", 400, "Request.PlatformMissing")]
    [InlineData("to=redis&platform=linux", 400, "Platform.Malformed")]
    [InlineData("to=Bad/Name&platform=linux/amd64", 400, "Reference.Malformed")]
    [InlineData("to=redis&platform=linux/amd64&from=redis:7", 400, "Delta.FromWithoutDigest")]
    [InlineData("to=redis&platform=linux/amd64&layers=0", 400, "Delta.LayersOutOfRange")]
    [InlineData("to=redis&platform=linux/amd64&layers=-1", 400, "Delta.LayersOutOfRange")]
    [InlineData("to=redis&platform=linux/amd64&layers=99999999999", 400, "Delta.LayersOutOfRange")]
    [InlineData("to=redis&platform=linux/amd64&layers=1&layers=2", 400, "Delta.LayersOutOfRange")]
    [InlineData("to=redis&to=nginx&platform=linux/amd64&layers=1", 400, "Delta.LayersOfMany")]
    public async Task Delta_WhenRequestCannotBeServed_SaysWhy(string query, int status, string code)
    {
        HttpResponseMessage answer = await fixture.Proxy.Http.GetAsync($"/starlight/delta?{query}");

        (int actualStatus, string actualCode, _) = await RunningProxy.ProblemAsync(answer);
        (actualStatus, actualCode).ShouldBe((status, code));
    }

    private Task<HttpResponseMessage> SendAsync(string path, HttpMethod method, Action<HttpRequestMessage> prepare)
    {
        HttpRequestMessage request = new(method, path);
        prepare(request);
        return fixture.Proxy.Http.SendAsync(request);
    }
}
