using System.Net;
using System.Net.Sockets;
using System.Text;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.ProxyClient;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>The daemon's client where the line breaks, the proxy changes, or is of another time.</summary>
public sealed class ResumeTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>, IAsyncLifetime
{
    private readonly TcpRelay _relay = new();
    private readonly StarlightProxyClient _client = new(new ErofsFilesystemImages());

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _relay.DisposeAsync();
    }

    /// <summary>A bundle is the same bytes wherever it is made: the second proxy sends what the first one had not, from that byte on.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reconnect_AfterACut_GoesOnAtThatByteAlsoAtAnotherProxy(bool another)
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(11), ProxyFixture.Layer(12)]);
        await using RunningProxy second = await RunningProxy.StartAsync();
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        await second.NotifyAsync($"{name}:v1");
        int length = (await fixture.Proxy.DeltaAsync($"to={name}:v1")).Length;
        _relay.TargetPort = fixture.Proxy.Address.Port;
        _relay.Rule = new RelayRule { HoldAfter = 3_000_000 };
        using CheckingSink sink = new();
        await using IncomingBundle bundle = (IncomingBundle)await _client.RequestDeltaAsync(Profile(_relay.Port), RequestOf($"{name}:v1"), CancellationToken.None);
        Task receiving = bundle.ReceiveAsync(sink, CancellationToken.None);

        // A reset takes with it what the kernel has and nobody has read.
        await Probe.UntilAsync(() => bundle.ReceivedBytes > 2_900_000, "what came through has been read");
        _relay.Rule = new RelayRule { CutAfter = 0 };
        (await Should.ThrowAsync<FailureException>(() => receiving)).Error.Kind.ShouldBe(ErrorKind.Unavailable);

        _relay.TargetPort = another ? second.Address.Port : fixture.Proxy.Address.Port;
        _relay.Rule = RelayRule.None;
        (await bundle.ReconnectAsync(CancellationToken.None)).ShouldBeTrue("the sink goes on where it was");
        await bundle.ReceiveAsync(sink, CancellationToken.None);

        sink.Arrived.ShouldBe(bundle.Contents.Select(c => c.Digest), "every content, once, and what its digest says");
        _relay.Delivered.ShouldBeLessThan(length - 1_000_000, "most of what was here is not sent again");
    }

    /// <summary>While the proxy builds it, and then when it has it.</summary>
    [Fact]
    public async Task Bundle_InParts_IsTheSame()
    {
        using StarlightProxyClient client = Striping(8);
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(13), ProxyFixture.Layer(14)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        _relay.TargetPort = fixture.Proxy.Address.Port;
        for (int i = 0; i < 3; i++)
        {
            using CheckingSink sink = new();
            await using IncomingBundle bundle = (IncomingBundle)await client.RequestDeltaAsync(Profile(_relay.Port), RequestOf($"{name}:v1"), CancellationToken.None);
            await bundle.ReceiveAsync(sink, CancellationToken.None);
            sink.Arrived.ShouldBe(bundle.Contents.Select(c => c.Digest), "every content, once, and what its digest says");
        }

        _relay.Connections.ShouldBeGreaterThanOrEqualTo(8);
    }

    [Theory]
    [InlineData(300_000)]
    [InlineData(2_500_000)]
    [InlineData(5_000_000)]
    public async Task Reconnect_AfterACutOfAllParts_GoesOn(int after)
    {
        using StarlightProxyClient client = Striping(4);
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(15), ProxyFixture.Layer(16)]);
        await fixture.Proxy.NotifyAsync($"{name}:v1");
        _relay.TargetPort = fixture.Proxy.Address.Port;

        // Slow, not held: the parts ahead could use up what may come before the answer that they belong to has begun.
        _relay.Rule = new RelayRule { BytesPerSecond = 500_000 };
        using CheckingSink sink = new();
        await using IncomingBundle bundle = (IncomingBundle)await client.RequestDeltaAsync(Profile(_relay.Port), RequestOf($"{name}:v1"), CancellationToken.None);
        long left = Math.Max(0, after - _relay.Delivered);
        _relay.Rule = new RelayRule { HoldAfter = left };
        Task receiving = bundle.ReceiveAsync(sink, CancellationToken.None);

        await Probe.UntilAsync(() => _relay.Delivered >= left, "the line has brought what it will");
        _relay.Rule = new RelayRule { CutAfter = 0 };
        (await Should.ThrowAsync<FailureException>(() => receiving)).Error.Kind.ShouldBe(ErrorKind.Unavailable);

        _relay.Rule = RelayRule.None;
        (await bundle.ReconnectAsync(CancellationToken.None)).ShouldBeTrue("the sink goes on where it was");
        await bundle.ReceiveAsync(sink, CancellationToken.None);

        sink.Arrived.ShouldBe(bundle.Contents.Select(c => c.Digest), "every content, once, and what its digest says");
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nStarlight-Protocol: 2\r\n", "Proxy.OtherProtocol")]
    [InlineData("HTTP/1.1 400 Bad Request\r\nStarlight-Protocol: 2\r\nContent-Type: application/problem+json\r\n", "Proxy.OtherProtocol")]
    [InlineData("HTTP/1.1 200 OK\r\nServer: something-else\r\n", "Proxy.NotAProxy")]
    public async Task Ping_WhenTheOtherSideSpeaksSomethingElse_SaysSo(string head, string code)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        Task serving = ServeOnceAsync(listener, head + "Content-Length: 0\r\n\r\n");
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;

        Error error = (await Should.ThrowAsync<FailureException>(() => _client.PingAsync(Profile(port), CancellationToken.None))).Error;

        await serving;
        error.Code.ShouldBe(code);
        if (code == "Proxy.OtherProtocol")
        {
            error.Message.ShouldContain("speaks protocol 2, this worker 1: update the older of the two");
        }
    }

    [Fact]
    public async Task AnyRequest_WhenTheWorkerIsOfAnotherTime_IsToldWhatThisProxySpeaks()
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/starlight/delta?to=a/b:1&platform=linux/amd64");
        request.Headers.Add("Starlight-Protocol", "2");

        using HttpResponseMessage answer = await fixture.Proxy.Http.SendAsync(request);

        (int status, string code, string detail) = await RunningProxy.ProblemAsync(answer);
        (status, code).ShouldBe((400, "Protocol.Unsupported"));
        detail.ShouldContain("speaks Starlight-Protocol 1, not '2': use matching versions of daemon and proxy");
        answer.Headers.GetValues("Starlight-Protocol").ShouldBe(["1"]);
    }

    private static async Task ServeOnceAsync(TcpListener listener, string answer)
    {
        using Socket socket = await listener.AcceptSocketAsync();
        byte[] buffer = new byte[4096];
        await socket.ReceiveAsync(buffer);
        await socket.SendAsync(Encoding.ASCII.GetBytes(answer));
        socket.Shutdown(SocketShutdown.Send);
    }

    private static StarlightProxyClient Striping(int connections) => new(new ErofsFilesystemImages()) { Stripes = connections, ShortestStriped = TimeSpan.Zero };

    private static ProxyProfile Profile(int port) => ProxyProfile.Create("p", "http", $"127.0.0.1:{port}", user: null, password: null).Value;

    private static DeltaRequest RequestOf(string reference) => new([ImageReference.Parse(reference).Value], Platform.Parse("linux/amd64").Value, []);
}
