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
        Sink sink = new();
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

    private static ProxyProfile Profile(int port) => ProxyProfile.Create("p", "http", $"127.0.0.1:{port}", user: null, password: null).Value;

    private static DeltaRequest RequestOf(string reference) => new([ImageReference.Parse(reference).Value], Platform.Parse("linux/amd64").Value, []);

    /// <summary>Keeps what it gets only as long as it takes to check it.</summary>
    private sealed class Sink : IBundleContentSink
    {
        private readonly MemoryStream _bytes = new();
        private ContentRef _current;

        public List<Digest> Arrived { get; } = [];

        public ValueTask PutAsync(ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => Take(content, bytes.Span);

        public ValueTask BeginAsync(ContentRef content, CancellationToken cancellationToken)
        {
            _current = content;
            _bytes.SetLength(0);
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _bytes.Write(bytes.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask CompleteAsync(CancellationToken cancellationToken) => Take(_current, _bytes.ToArray());

        private ValueTask Take(ContentRef content, ReadOnlySpan<byte> bytes)
        {
            Digest.Of(bytes).ShouldBe(content.Digest);
            Arrived.Add(content.Digest);
            return ValueTask.CompletedTask;
        }
    }
}
