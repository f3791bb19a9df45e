using Google.Protobuf;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Content;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.IntegrationTests.Grpc;

/// <summary>Our client against our server over a unix socket.</summary>
public sealed class GrpcCallTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Unary_WhenTheHandlerAnswers_CarriesMessagesAndMetadataBothWays()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(GrpcTestHost.Method, (request, context) =>
            Task.FromResult(new WriteContentResponse { Digest = request.Ref + "/" + context.GetMetadata("containerd-namespace") + "/" + context.GetMetadata("absent") })));

        GrpcCallOptions options = new() { Metadata = new Dictionary<string, string> { ["containerd-namespace"] = "k8s.io" } };
        WriteContentResponse response = await host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest { Ref = "a" }, options);

        response.Digest.ShouldBe("a/k8s.io/");
    }

    [Fact]
    public async Task Unary_WhenTheMessageIsEmpty_Works()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(GrpcTestHost.Method, (_, _) => Task.FromResult(new WriteContentResponse())));

        (await host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest())).ShouldBe(new WriteContentResponse());
    }

    [Fact]
    public async Task Unary_WhenMessagesAreBig_TakesThemUpToTheLimit()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(
            GrpcTestHost.Method, (request, _) => Task.FromResult(new WriteContentResponse { Total = request.Data.Length, Digest = new string('x', request.Data.Length) })));
        byte[] data = new byte[GrpcProtocol.DefaultMaxMessageSize - 64];

        WriteContentResponse response = await host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest { Data = ByteString.CopyFrom(data) });

        response.Total.ShouldBe(data.Length);
        response.Digest.Length.ShouldBe(data.Length);
    }

    [Fact]
    public async Task Unary_WhenTheRequestIsOverTheServersLimit_IsResourceExhausted()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(
            app => app.MapGrpcUnary(GrpcTestHost.Method, (_, _) => Task.FromResult(new WriteContentResponse())), new GrpcServerLimits(MaxReceiveMessageSize: 1000));

        Error error = await FailureAsync(() => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest { Data = ByteString.CopyFrom(new byte[4_000_000]) }));

        error.Kind.ShouldBe(ErrorKind.ResourceExhausted);
        error.Code.ShouldBe("Grpc.MessageTooLarge");
    }

    [Fact]
    public async Task Unary_WhenTheResponseIsOverTheClientsLimit_IsResourceExhausted()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(
            GrpcTestHost.Method, (_, _) => Task.FromResult(new WriteContentResponse { Digest = new string('x', 2000) })));
        using GrpcChannel channel = GrpcChannel.ForUnixSocket("unix://" + host.Address, GrpcPeer.Daemon, maxReceiveMessageSize: 1000);

        (await FailureAsync(() => channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()))).Kind.ShouldBe(ErrorKind.ResourceExhausted);
    }

    [Theory]
    [MemberData(nameof(GrpcStatusMapTests.Rows), MemberType = typeof(GrpcStatusMapTests))]
    public async Task Unary_WhenTheHandlerFails_KindCodeAndMessageComeBack(ErrorKind kind, int status)
    {
        _ = status;
        Error sent = new("Test." + kind, "es ging schief: 100 %\nüberall", kind);
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(GrpcTestHost.Method, (_, _) => throw new FailureException(sent)));

        (await FailureAsync(() => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()))).ShouldBe(sent);
    }

    [Fact]
    public async Task Unary_WhenTheHandlerThrowsTheUnforeseen_IsInternalAndTellsNothing()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(GrpcTestHost.Method, (_, _) => throw new InvalidOperationException("a secret")));

        Error error = await FailureAsync(() => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()));

        error.Kind.ShouldBe(ErrorKind.Internal);
        error.Message.ShouldNotContain("secret");
    }

    [Fact]
    public async Task Unary_WhenTheMethodIsUnknown_IsUnsupported()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(_ => { });

        Error error = await FailureAsync(() => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest()));

        error.Kind.ShouldBe(ErrorKind.Unsupported);
        error.Message.ShouldContain("/test.Echo/Call");
    }

    [Fact]
    public async Task Unary_WhenManyRunAtOnce_AllShareTheChannel()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcUnary(
            GrpcTestHost.Method, (request, _) => Task.FromResult(new WriteContentResponse { Offset = request.Offset, Digest = new string('y', 10_000) })));

        WriteContentResponse[] responses = await Task.WhenAll(
            Enumerable.Range(0, 1500).Select(i => host.Channel.UnaryAsync(GrpcTestHost.Method, new WriteContentRequest { Offset = i, Data = ByteString.CopyFrom(new byte[1000]) })));

        responses.Select(r => r.Offset).ShouldBe(Enumerable.Range(0, 1500).Select(i => (long)i));
    }

    [Fact]
    public async Task ServerStream_WhenTheHandlerWrites_EveryMessageArrivesWhenWritten()
    {
        SemaphoreSlim next = new(1);
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcServerStreaming(GrpcTestHost.Method, async (request, stream, context) =>
        {
            for (int i = 0; i < request.Total; i++)
            {
                await next.WaitAsync(context.CancellationToken); // set only after the message before has been received
                await stream.WriteAsync(new WriteContentResponse { Offset = i });
            }
        }));

        List<long> received = [];
        await foreach (WriteContentResponse response in host.Channel.ServerStreamAsync(GrpcTestHost.Method, new WriteContentRequest { Total = 100 }))
        {
            received.Add(response.Offset);
            next.Release();
        }

        received.ShouldBe(Enumerable.Range(0, 100).Select(i => (long)i));
    }

    [Fact]
    public async Task ServerStream_WhenItFailsAfterMessages_GivesTheMessagesAndThenTheError()
    {
        Error sent = new("Test.Late", "nach zwei", ErrorKind.DataCorrupt);
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcServerStreaming(GrpcTestHost.Method, async (_, stream, _) =>
        {
            await stream.WriteAsync(new WriteContentResponse());
            await stream.WriteAsync(new WriteContentResponse());
            throw new FailureException(sent);
        }));

        int received = 0;
        Error error = await FailureAsync(async () =>
        {
            await foreach (WriteContentResponse response in host.Channel.ServerStreamAsync(GrpcTestHost.Method, new WriteContentRequest()))
            {
                received++;
            }
        });

        received.ShouldBe(2);
        error.ShouldBe(sent);
    }

    [Fact]
    public async Task ServerStream_WhenTheClientStopsReading_TheHandlerIsCancelled()
    {
        TaskCompletionSource cancelled = new();
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcServerStreaming(GrpcTestHost.Method, async (_, stream, context) =>
        {
            await using CancellationTokenRegistration registration = context.CancellationToken.Register(cancelled.SetResult);
            await stream.WriteAsync(new WriteContentResponse());
            await Task.Delay(Timeout.Infinite, context.CancellationToken);
        }));

        await foreach (WriteContentResponse response in host.Channel.ServerStreamAsync(GrpcTestHost.Method, new WriteContentRequest()))
        {
            break;
        }

        await cancelled.Task.WaitAsync(s_patience);
    }

    [Fact]
    public async Task Duplex_WhenBothSidesTakeTurns_EachMessageIsAnsweredBeforeTheNext()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcDuplex(GrpcTestHost.Method, async (requests, stream, _) =>
        {
            await foreach (WriteContentRequest request in requests)
            {
                await stream.WriteAsync(new WriteContentResponse { Offset = request.Offset + 1 });
            }
        }));
        await using GrpcDuplexCall<WriteContentRequest, WriteContentResponse> call = host.Channel.Duplex(GrpcTestHost.Method);

        for (int i = 0; i < 50; i++)
        {
            await call.WriteAsync(new WriteContentRequest { Offset = i });
            (await call.ReadAsync())!.Offset.ShouldBe(i + 1);
        }

        call.Complete();
        (await call.ReadAsync()).ShouldBeNull();
        (await call.ReadAsync()).ShouldBeNull();
    }

    [Fact]
    public async Task Duplex_WhenTheServerEndsEarly_WritingGivesItsReason()
    {
        Error sent = new("Test.Enough", "genug", ErrorKind.ResourceExhausted);
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcDuplex(GrpcTestHost.Method, (_, _, _) => throw new FailureException(sent)));
        await using GrpcDuplexCall<WriteContentRequest, WriteContentResponse> call = host.Channel.Duplex(GrpcTestHost.Method);

        Error error = await FailureAsync(async () =>
        {
            while (true)
            {
                await call.WriteAsync(new WriteContentRequest { Data = ByteString.CopyFrom(new byte[100_000]) });
            }
        });

        error.ShouldBe(sent);
        (await FailureAsync(async () => await call.ReadAsync())).ShouldBe(sent);
    }

    [Fact]
    public async Task Duplex_WhenDisposedUnfinished_TheServerSeesNoCleanEnd()
    {
        TaskCompletionSource<bool> endedCleanly = new();
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcDuplex(GrpcTestHost.Method, async (requests, stream, _) =>
        {
            try
            {
                await foreach (WriteContentRequest request in requests)
                {
                    await stream.WriteAsync(new WriteContentResponse());
                }

                endedCleanly.SetResult(true);
            }
            catch (Exception)
            {
                endedCleanly.SetResult(false);
                throw;
            }
        }));

        await using (GrpcDuplexCall<WriteContentRequest, WriteContentResponse> call = host.Channel.Duplex(GrpcTestHost.Method))
        {
            await call.WriteAsync(new WriteContentRequest());
            await call.ReadAsync();
        }

        (await endedCleanly.Task.WaitAsync(s_patience)).ShouldBeFalse();
    }

    [Fact]
    public async Task ClientStreaming_WhenCompleted_GivesOneAnswer()
    {
        await using GrpcTestHost host = await GrpcTestHost.StartAsync(app => app.MapGrpcClientStreaming(GrpcTestHost.Method, async (requests, _) =>
        {
            long total = 0;
            await foreach (WriteContentRequest request in requests)
            {
                total += request.Data.Length;
            }

            return new WriteContentResponse { Total = total };
        }));
        await using GrpcDuplexCall<WriteContentRequest, WriteContentResponse> call = host.Channel.Duplex(GrpcTestHost.Method);

        for (int i = 0; i < 40; i++)
        {
            await call.WriteAsync(new WriteContentRequest { Data = ByteString.CopyFrom(new byte[1_000_000]) }); // above every default limit of Kestrel's in sum
        }

        call.Complete();
        (await call.ReadAsync())!.Total.ShouldBe(40_000_000);
        (await call.ReadAsync()).ShouldBeNull();
    }

    private static async Task<Error> FailureAsync(Func<Task> call) => (await Should.ThrowAsync<FailureException>(() => call().WaitAsync(s_patience))).Error;
}
