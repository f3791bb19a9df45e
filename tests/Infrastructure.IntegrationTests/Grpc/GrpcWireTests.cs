using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Content;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.IntegrationTests.Grpc;

/// <summary>Our server against requests, and our client against responses, that a well-behaved peer would not send.</summary>
public sealed class GrpcWireTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Server_WhenTheRequestIsCompressed_RefusesAndSaysWhatItTakes()
    {
        await using GrpcTestHost host = await StartEchoAsync();

        using HttpResponseMessage response = await SendAsync(host, [0, 0, 0, 0, 0], request => request.Headers.Add("grpc-encoding", "gzip"));

        Status(response).ShouldBe(GrpcStatusCode.Unimplemented);
        response.Headers.GetValues("grpc-accept-encoding").ShouldBe(["identity"]);
    }

    [Fact]
    public async Task Server_WhenAFrameIsMarkedCompressed_Refuses()
    {
        await using GrpcTestHost host = await StartEchoAsync();

        using HttpResponseMessage response = await SendAsync(host, [1, 0, 0, 0, 0]);

        Status(response).ShouldBe(GrpcStatusCode.Internal);
    }

    [Fact]
    public async Task Server_WhenTheCallFailsBeforeAMessage_AnswersWithTrailersOnly()
    {
        await using GrpcTestHost host = await StartEchoAsync();

        using HttpResponseMessage response = await SendAsync(host, []);

        response.Headers.GetValues("grpc-status").ShouldBe(["13"]);
        response.Headers.GetValues("starlight-error-code").ShouldBe(["Grpc.MissingMessage"]);
        (await response.Content.ReadAsByteArrayAsync()).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("application/json", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/grpc-web", HttpStatusCode.UnsupportedMediaType)]
    public async Task Server_WhenTheContentTypeIsNotGrpc_AnswersInHttp(string contentType, HttpStatusCode expected)
    {
        await using GrpcTestHost host = await StartEchoAsync();

        using HttpResponseMessage response = await SendAsync(host, [], request => request.Content!.Headers.ContentType = new MediaTypeHeaderValue(contentType));

        response.StatusCode.ShouldBe(expected);
    }

    [Theory]
    [InlineData("abc")]
    [InlineData("123456789S")]
    public async Task Server_WhenTheTimeoutIsMalformed_IsInvalidArgument(string timeout)
    {
        await using GrpcTestHost host = await StartEchoAsync();

        using HttpResponseMessage response = await SendAsync(host, [0, 0, 0, 0, 0], request => request.Headers.TryAddWithoutValidation("grpc-timeout", timeout));

        Status(response).ShouldBe(GrpcStatusCode.InvalidArgument);
    }

    [Fact]
    public async Task Server_WhenTheDeadlinePassesInTheHandler_AnswersDeadlineExceeded()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(GrpcTestHost.Method, async (_, context) =>
        {
            await Task.Delay(Timeout.Infinite, context.CancellationToken);
            return new WriteContentResponse();
        }));

        using HttpResponseMessage response = await SendAsync(host, [0, 0, 0, 0, 0], request => request.Headers.TryAddWithoutValidation("grpc-timeout", "100m"));

        Status(response).ShouldBe(GrpcStatusCode.DeadlineExceeded);
    }

    [Fact]
    public async Task Server_WhenAUnaryRequestHasTwoMessages_Refuses()
    {
        await using GrpcTestHost host = await StartEchoAsync();

        using HttpResponseMessage response = await SendAsync(host, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

        Status(response).ShouldBe(GrpcStatusCode.Internal);
    }

    [Fact]
    public async Task Server_WhenRequestsAreGarbage_AnswersEachWithAStatusAndLivesOn()
    {
        await using GrpcTestHost host = await StartEchoAsync(limit: 100_000);
        Random random = new(7);
        int refused = 0;
        for (int round = 0; round < 300; round++)
        {
            byte[] body = new byte[random.Next(0, 200)];
            random.NextBytes(body);
            if (body.Length > 2 && random.Next(2) == 0)
            {
                (body[0], body[1], body[2]) = (0, 0, 0); // plausible headers get further
            }

            using HttpResponseMessage response = await SendAsync(host, body);
            response.StatusCode.ShouldBe(HttpStatusCode.OK);
            refused += Status(response) is GrpcStatusCode.Internal or GrpcStatusCode.ResourceExhausted ? 1 : 0;
        }

        refused.ShouldBeGreaterThan(250);
        (await host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest { Offset = 5 })).Offset.ShouldBe(5);
    }

    [Theory]
    [InlineData("plain text")] // no status, 200
    [InlineData("no status")]
    [InlineData("bad status")]
    [InlineData("truncated")]
    [InlineData("404")]
    [InlineData("two messages")]
    [InlineData("no message")]
    public async Task Client_WhenTheResponseBreaksTheProtocol_FailsClearly(string behaviour)
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapPost(GrpcTestHost.Method.Path, async (HttpContext http) =>
        {
            if (behaviour != "plain text")
            {
                http.Response.ContentType = "application/grpc";
            }

            switch (behaviour)
            {
                case "404":
                    http.Response.StatusCode = 404;
                    return;
                case "truncated":
                    await http.Response.BodyWriter.WriteAsync(new byte[] { 0, 0, 0, 0, 9, 1 });
                    http.Response.AppendTrailer("grpc-status", "0");
                    return;
                case "bad status":
                    await http.Response.BodyWriter.WriteAsync(new byte[5]);
                    http.Response.AppendTrailer("grpc-status", "fine");
                    return;
                case "two messages":
                    await http.Response.BodyWriter.WriteAsync(new byte[10]);
                    http.Response.AppendTrailer("grpc-status", "0");
                    return;
                case "no message":
                    http.Response.Headers["grpc-status"] = "0";
                    return;
                default:
                    await http.Response.BodyWriter.WriteAsync(new byte[5]);
                    return;
            }
        }));

        Error error = (await Should.ThrowAsync<FailureException>(() => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()).WaitAsync(s_patience))).Error;

        error.Code.ShouldBe(behaviour == "truncated" ? "Grpc.Truncated" : "Daemon.NotGrpc");
    }

    [Fact]
    public async Task Client_WhenTheServerResetsTheStream_FailsClearly()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapPost(GrpcTestHost.Method.Path, (HttpContext http) => http.Abort()));

        Error error = (await Should.ThrowAsync<FailureException>(() => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()).WaitAsync(s_patience))).Error;

        error.Code.ShouldBeOneOf("Daemon.ConnectionLost", "Grpc.Cancelled");
    }

    private static Task<GrpcTestHost> StartEchoAsync(int limit = 1000) => GrpcTestHost.StartAsync(
        app => app.MapGrpcUnary(GrpcTestHost.Method, (request, _) => Task.FromResult(new WriteContentResponse { Offset = request.Offset })), new GrpcServerLimits(limit));

    private static async Task<HttpResponseMessage> SendAsync(GrpcTestHost host, byte[] body, Action<HttpRequestMessage>? change = null)
    {
        using HttpMessageInvoker invoker = new(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(host.Address), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        using HttpRequestMessage request = new(HttpMethod.Post, "http://localhost" + GrpcTestHost.Method.Path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/grpc") } },
        };
        change?.Invoke(request);
        HttpResponseMessage response = await invoker.SendAsync(request, CancellationToken.None).WaitAsync(s_patience);
        await response.Content.LoadIntoBufferAsync();
        return response;
    }

    private static GrpcStatusCode Status(HttpResponseMessage response)
    {
        HttpResponseHeaders headers = response.Headers.Contains("grpc-status") ? response.Headers : response.TrailingHeaders;
        return Enum.Parse<GrpcStatusCode>(headers.GetValues("grpc-status").Single());
    }
}
