using System.Net;
using System.Net.Http.Headers;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Compression;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>Single contents: what HTTP says about them, and who may have them.</summary>
public sealed class ContentTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    /// <summary>More than is handled in one piece in memory.</summary>
    private const int Large = 3_000_000;

    [Theory]
    [InlineData(40_000)]
    [InlineData(Large)]
    public async Task Content_ForEachWayToAsk_IsTheSame(int length)
    {
        (string reference, byte[] content) = await PushAsync(length);
        string path = PathOf(content, reference);

        using HttpResponseMessage raw = await SendAsync(path);
        raw.StatusCode.ShouldBe(HttpStatusCode.OK);
        raw.Headers.ETag!.Tag.ShouldBe($"\"{Digest.Of(content)}\"");
        raw.Headers.AcceptRanges.ShouldBe(["bytes"]);
        (await raw.Content.ReadAsByteArrayAsync()).ShouldBe(content);

        using HttpResponseMessage encoded = await SendAsync(path, r => r.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("zstd")));
        encoded.Content.Headers.ContentEncoding.ShouldBe(["zstd"]);
        encoded.Headers.ETag!.Tag.ShouldNotBe(raw.Headers.ETag.Tag, "these are other bytes");
        using ZstdDecompressionStream frames = new(await encoded.Content.ReadAsStreamAsync());
        using MemoryStream decoded = new();
        await frames.CopyToAsync(decoded);
        decoded.ToArray().ShouldBe(content);

        using HttpResponseMessage head = await SendAsync(path, r => r.Method = HttpMethod.Head);
        (head.StatusCode, head.Content.Headers.ContentLength, head.Headers.ETag).ShouldBe((HttpStatusCode.OK, content.Length, raw.Headers.ETag));

        using HttpResponseMessage known = await SendAsync(path, r => r.Headers.IfNoneMatch.Add(raw.Headers.ETag));
        (known.StatusCode, (await known.Content.ReadAsByteArrayAsync()).Length).ShouldBe((HttpStatusCode.NotModified, 0));
    }

    [Theory]
    [InlineData(0L, 9L, 0, 10)]
    [InlineData(2_999_990L, 9_999_999L, 2_999_990, 10)]
    [InlineData(1_500_000L, null, 1_500_000, 1_500_000)]
    [InlineData(null, 7L, 2_999_993, 7)]
    public async Task Content_WhenARangeIsAsked_IsThatRange(long? from, long? to, int start, int length)
    {
        (string reference, byte[] content) = await PushAsync(Large);

        using HttpResponseMessage answer = await SendAsync(PathOf(content, reference), r => r.Headers.Range = new RangeHeaderValue(from, to));

        answer.StatusCode.ShouldBe(HttpStatusCode.PartialContent);
        answer.Content.Headers.ContentRange!.ToString().ShouldBe($"bytes {start}-{start + length - 1}/{Large}");
        (await answer.Content.ReadAsByteArrayAsync()).ShouldBe(content[start..(start + length)]);
    }

    [Fact]
    public async Task Content_WhenTheRangeCannotBe_IsRefusedOrSentWhole()
    {
        (string reference, byte[] content) = await PushAsync(40_000);
        string path = PathOf(content, reference);

        using HttpResponseMessage beyond = await SendAsync(path, r => r.Headers.Range = new RangeHeaderValue(40_000, null));
        (beyond.StatusCode, beyond.Content.Headers.ContentRange!.Length).ShouldBe((HttpStatusCode.RequestedRangeNotSatisfiable, 40_000));

        using HttpResponseMessage changed = await SendAsync(path, r =>
        {
            r.Headers.Range = new RangeHeaderValue(10, null);
            r.Headers.IfRange = new RangeConditionHeaderValue("\"another\"");
        });
        (changed.StatusCode, (await changed.Content.ReadAsByteArrayAsync()).Length).ShouldBe((HttpStatusCode.OK, 40_000));
    }

    [Fact]
    public async Task Content_ThatIsNotThere_IsAProblemThatSaysWhy()
    {
        (string reference, byte[] content) = await PushAsync(40_000);

        (await ProblemAsync(PathOf([1, 2, 3], reference))).ShouldBe((404, "Content.NotInImage"));
        (await ProblemAsync(PathOf(content, reference + "0"))).ShouldBe((404, "Image.NotIndexed"));
        (await ProblemAsync($"/starlight/contents/md5:00?to={reference}&platform=linux/amd64")).ShouldBe((400, "Content.DigestMalformed"));
        (await ProblemAsync($"/starlight/contents/{Digest.Of(content)}?platform=linux/amd64")).ShouldBe((400, "Content.ImageCount"));
        (await ProblemAsync($"/starlight/contents/{Digest.Of(content)}?to={reference}")).ShouldBe((400, "Request.PlatformMissing"));
    }

    /// <summary>Who knows a content's digest does not get it by that: it takes an image that the account may read.</summary>
    [Fact]
    public async Task Content_OfAnImageThatTheAccountMayNotRead_IsNotGiven()
    {
        using ScratchDirectory directory = new();
        string accounts = directory["accounts.json"];
        (ImagePusher pusher, string mine) = fixture.NewRepository();
        (ImagePusher other, string theirs) = fixture.NewRepository();
        byte[] content = ProxyFixture.Noise(7, 40_000);
        Pushed secret = await other.ImageAsync("v1", [new TarBuilder().File("secret", content).Build()]);
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(3)]);
        new AccountsFile
        {
            Accounts = [new AccountEntry { Name = "edge", Roles = [Roles.Pull, Roles.Notify], Token = AccessToken.DigestOf("slp_edge"), Images = [$"{mine}"] }, new AccountEntry { Name = "all", Roles = [Roles.Admin], Token = AccessToken.DigestOf("slp_all") }],
        }.Write(accounts);
        await using RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings { Accounts = accounts });
        proxy.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "slp_all");
        await proxy.NotifyAsync($"{theirs}:v1");
        await proxy.NotifyAsync($"{mine}:v1");
        (await proxy.Http.GetAsync(PathOf(content, $"{theirs}:v1"))).StatusCode.ShouldBe(HttpStatusCode.OK);
        proxy.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "slp_edge");

        (await ProblemAsync(PathOf(content, $"{theirs}:v1"), proxy)).ShouldBe((403, "Access.ImageDenied"));
        (await ProblemAsync(PathOf(content, $"{mine}:v1"), proxy)).ShouldBe((404, "Content.NotInImage"));
        (await ProblemAsync(PathOf(content, $"{mine}@{secret.Digest}"), proxy)).ShouldBe((404, "Image.NotIndexed"));
        proxy.Http.DefaultRequestHeaders.Authorization = null;
        (await ProblemAsync(PathOf(content, $"{mine}:v1"), proxy)).ShouldBe((401, "Access.CredentialsMissing"));
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("100001", 100_001)]
    [InlineData("4194304", 4_194_304)]
    public async Task Prime_ForEachNumber_GivesThatManyBytes(string bytes, int length)
    {
        using HttpResponseMessage answer = await SendAsync($"/starlight/prime?bytes={bytes}");
        using HttpResponseMessage head = await SendAsync($"/starlight/prime?bytes={bytes}", r => r.Method = HttpMethod.Head);

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await answer.Content.ReadAsByteArrayAsync()).Length.ShouldBe(length);
        head.Content.Headers.ContentLength.ShouldBe(length);
    }

    [Theory]
    [InlineData("")]
    [InlineData("?bytes=-1")]
    [InlineData("?bytes=4194305")]
    [InlineData("?bytes=1&bytes=2")]
    public async Task Prime_WhenTheNumberCannotBe_IsRefused(string query) => (await ProblemAsync("/starlight/prime" + query)).ShouldBe((400, "Prime.BytesOutOfRange"));

    private static string PathOf(byte[] content, string reference) => $"/starlight/contents/{Digest.Of(content)}?to={reference}&platform=linux/amd64";

    private async Task<(string Reference, byte[] Content)> PushAsync(int length)
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        byte[] content = ProxyFixture.Noise(length, length);
        await pusher.ImageAsync("v1", [new TarBuilder().File("a", "something else").File("b", content).Build()]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        return ($"{name}:v1", content);
    }

    private async Task<HttpResponseMessage> SendAsync(string path, Action<HttpRequestMessage>? edit = null)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, path);
        edit?.Invoke(request);
        return await fixture.Proxy.Http.SendAsync(request);
    }

    private async Task<(int Status, string Code)> ProblemAsync(string path, RunningProxy? proxy = null)
    {
        using HttpResponseMessage answer = await (proxy ?? fixture.Proxy).Http.GetAsync(path);
        (int status, string code, _) = await RunningProxy.ProblemAsync(answer);
        return (status, code);
    }
}
