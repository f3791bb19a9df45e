using System.Net.Sockets;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Content;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.IntegrationTests.Grpc;

/// <summary>Deadlines, cancellation and peers that are not there.</summary>
public sealed class GrpcLifetimeTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Unary_WhenTheDeadlinePasses_FailsHereAndCancelsThere()
    {
        TaskCompletionSource<DateTimeOffset?> cancelled = new();
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(GrpcTestHost.Method, async (_, context) =>
        {
            await using CancellationTokenRegistration registration = context.CancellationToken.Register(() => cancelled.TrySetResult(context.Deadline));
            await Task.Delay(Timeout.Infinite, context.CancellationToken);
            return new WriteContentResponse();
        }));

        // Long enough for the first call of a process, with everything still to be compiled, to reach its handler.
        Error error = (await Should.ThrowAsync<FailureException>(
            () => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest(), new GrpcCallOptions { Timeout = TimeSpan.FromSeconds(2) }))).Error;

        error.Code.ShouldBe("Grpc.DeadlineExceeded");
        error.Kind.ShouldBe(ErrorKind.Cancelled);
        (await cancelled.Task.WaitAsync(s_patience)).ShouldNotBeNull();
    }

    [Fact]
    public async Task Unary_WhenThereIsNoDeadline_TheHandlerSeesNone()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(
            GrpcTestHost.Method, (_, context) => Task.FromResult(new WriteContentResponse { Total = context.Deadline is null ? 1 : 0 })));

        (await host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest())).Total.ShouldBe(1);
    }

    [Fact]
    public async Task Unary_WhenTheCallerCancels_ThrowsItsOwnCancellationAndCancelsThere()
    {
        TaskCompletionSource running = new();
        TaskCompletionSource cancelled = new();
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(GrpcTestHost.Method, async (_, context) =>
        {
            await using CancellationTokenRegistration registration = context.CancellationToken.Register(() => cancelled.TrySetResult());
            running.SetResult();
            await Task.Delay(Timeout.Infinite, context.CancellationToken);
            return new WriteContentResponse();
        }));
        using CancellationTokenSource cancellation = new();

        Task<WriteContentResponse> call = host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest(), default, cancellation.Token);
        await running.Task.WaitAsync(s_patience);
        await cancellation.CancelAsync();

        (await Should.ThrowAsync<OperationCanceledException>(() => call)).CancellationToken.ShouldBe(cancellation.Token);
        await cancelled.Task.WaitAsync(s_patience);
    }

    [Fact]
    public async Task Unary_WhenTheHandlerCancelsByItself_IsCancelled()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(GrpcTestHost.Method, (_, _) => throw new OperationCanceledException()));

        Error error = (await Should.ThrowAsync<FailureException>(() => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()))).Error;

        error.Kind.ShouldBe(ErrorKind.Cancelled);
        error.Code.ShouldBe("Grpc.Cancelled");
    }

    [Fact]
    public async Task ServerStream_WhenTheServerGoesAway_IsUnavailableAndTheChannelFindsItAgain()
    {
        TaskCompletionSource running = new();
        GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcServerStreaming(GrpcTestHost.Method, async (_, stream, _) =>
        {
            await stream.WriteAsync(new WriteContentResponse());
            running.SetResult();
            await Task.Delay(s_patience);
        }));
        await using (host)
        {
            Task<Error> call = FailureOfAsync(host.Channel);
            await running.Task.WaitAsync(s_patience);
            await host.StopAsync();

            (await call.WaitAsync(s_patience)).Kind.ShouldBe(ErrorKind.Unavailable);
            (await FailureOfAsync(host.Channel)).Code.ShouldBe("Daemon.NotRunning");
        }
    }

    [Fact]
    public async Task Unary_WhenThereIsNoSocket_SaysWhoIsNotRunningAndWhatToDo()
    {
        using GrpcChannel channel = GrpcChannel.ForUnixSocket("/nonexistent/containerd.sock", GrpcPeer.Containerd);

        Error error = (await Should.ThrowAsync<FailureException>(() => channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()))).Error;

        error.ShouldBe(new Error(
            "Containerd.NotRunning", "containerd is not running at /nonexistent/containerd.sock: start it or give its socket with --containerd", ErrorKind.Unavailable));
    }

    [Fact]
    public async Task Duplex_WhenThereIsNoSocket_WriteFailsInsteadOfWaiting()
    {
        using GrpcChannel channel = GrpcChannel.ForUnixSocket("/nonexistent/containerd.sock", GrpcPeer.Containerd);
        await using GrpcDuplexCall<WriteContentRequest, WriteContentResponse> call = channel.Duplex(GrpcTestHost.Method);

        Error error = (await Should.ThrowAsync<FailureException>(() => call.WriteAsync(new WriteContentRequest()).WaitAsync(s_patience))).Error;

        error.Code.ShouldBe("Containerd.NotRunning");
    }

    [Fact]
    public async Task Unary_WhenTheSocketIsStale_SaysThatNobodyRuns()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("starlight-grpc-");
        try
        {
            string path = Path.Combine(directory.FullName, "s");
            StaleSocket.Create(path);
            using GrpcChannel channel = GrpcChannel.ForUnixSocket(path, GrpcPeer.Daemon);

            (await Should.ThrowAsync<FailureException>(() => channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()))).Error.Code.ShouldBe("Daemon.NotRunning");
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n")]
    [InlineData("")]
    public async Task Unary_WhenSomethingElseListens_FailsClearly(string greeting)
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("starlight-grpc-");
        try
        {
            string path = Path.Combine(directory.FullName, "s");
            using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            listener.Bind(new UnixDomainSocketEndPoint(path));
            listener.Listen();
            Task serving = Task.Run(async () =>
            {
                using Socket peer = await listener.AcceptAsync();
                await peer.SendAsync(System.Text.Encoding.ASCII.GetBytes(greeting));
            });
            using GrpcChannel channel = GrpcChannel.ForUnixSocket(path, GrpcPeer.Daemon);

            Error error = (await Should.ThrowAsync<FailureException>(() => channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()).WaitAsync(s_patience))).Error;

            error.Kind.ShouldBe(ErrorKind.Unavailable);
            error.Message.ShouldContain(path);
            await serving;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static async Task<Error> FailureOfAsync(GrpcChannel channel)
    {
        try
        {
            await foreach (WriteContentResponse response in channel.ServerStreamAsync(GrpcTestHost.Method, new WriteContentRequest()))
            {
            }
        }
        catch (FailureException e)
        {
            return e.Error;
        }

        throw new InvalidOperationException("the stream ended well");
    }
}
