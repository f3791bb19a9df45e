using System.Net;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Problems;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

public sealed class ProtocolTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    [Theory]
    [InlineData("GET", "/")]
    [InlineData("POST", "/")]
    [InlineData("GET", "/health-check")]
    public async Task Health_Always_AnswersAsEveryVersionHas(string method, string path)
    {
        using HttpResponseMessage answer = await fixture.Proxy.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await answer.Content.ReadAsStringAsync()).ShouldBe("""{"status":"OK","code":200,"message":"Starlight Proxy"}""");
        answer.Headers.GetValues("Starlight-Protocol").ShouldBe(["1"]);
    }

    [Fact]
    public async Task AnyRequest_WhenProtocolIsNotOurs_IsRefused()
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/");
        request.Headers.Add("Starlight-Protocol", "2");

        using HttpResponseMessage answer = await fixture.Proxy.Http.SendAsync(request);

        (int status, string code, _) = await RunningProxy.ProblemAsync(answer);
        (status, code).ShouldBe((400, "Protocol.Unsupported"));
    }

    [Theory]
    [InlineData("GET", "/nothing", 404)]
    [InlineData("GET", "/starlight/notify", 405)]
    [InlineData("PUT", "/starlight/delta", 405)]
    public async Task AnyRequest_WhenThereIsNoSuchEndpoint_GetsAProblem(string method, string path, int status)
    {
        using HttpResponseMessage answer = await fixture.Proxy.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        (await RunningProxy.ProblemAsync(answer)).Status.ShouldBe(status);
    }

    [Fact]
    public async Task OnePort_WhenHttp1AndHttp2ClientsComeTogether_ServesBoth()
    {
        using HttpClient client = new() { BaseAddress = fixture.Proxy.Address };
        foreach (Version version in new[] { HttpVersion.Version20, HttpVersion.Version11, HttpVersion.Version20 })
        {
            using HttpRequestMessage request = new(HttpMethod.Get, "/health-check") { Version = version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };

            using HttpResponseMessage answer = await client.SendAsync(request);

            answer.Version.ShouldBe(version);
            answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        }
    }

    [Fact]
    public async Task Delta_OverHttp2_IsTheSameBytes()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(1)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        using HttpClient client = new() { BaseAddress = fixture.Proxy.Address, DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };

        byte[] http2 = await client.GetByteArrayAsync($"/starlight/delta?to={name}:v1&platform=linux/amd64");

        http2.ShouldBe(await fixture.Proxy.DeltaAsync($"to={name}:v1"));
    }

    [Theory]
    [InlineData(ErrorKind.InvalidInput, 400)]
    [InlineData(ErrorKind.NotFound, 404)]
    [InlineData(ErrorKind.AlreadyExists, 409)]
    [InlineData(ErrorKind.FailedPrecondition, 409)]
    [InlineData(ErrorKind.Unauthenticated, 401)]
    [InlineData(ErrorKind.PermissionDenied, 403)]
    [InlineData(ErrorKind.Unavailable, 503)]
    [InlineData(ErrorKind.DataCorrupt, 502)]
    [InlineData(ErrorKind.ResourceExhausted, 507)]
    [InlineData(ErrorKind.Unsupported, 501)]
    [InlineData(ErrorKind.Cancelled, 499)]
    [InlineData(ErrorKind.Internal, 500)]
    public void ProblemTable_ForEachKind_HasItsStatus(ErrorKind kind, int status) => ProblemTable.StatusOf(kind).ShouldBe(status);

    [Fact]
    public void ProblemTable_CoversEveryKind() => Enum.GetValues<ErrorKind>().ShouldAllBe(kind => ProblemTable.StatusOf(kind) >= 400);
}
