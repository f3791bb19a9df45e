using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// Calls methods of a gRPC server on a unix socket. Connects at the first call and again after the connection was lost; calls share one HTTP/2 connection. Safe for concurrent use.
/// Needs neither dependency injection nor logging, so that a command-line tool pays for nothing but the call.
/// <para>
/// Failures are <see cref="FailureException"/>s: the peer's own, by <see cref="GrpcStatusMap"/> with the peer's <c>starlight-error-code</c>; <c>X.NotRunning</c>,
/// <c>X.NotPermitted</c>, <c>X.ConnectionLost</c> and <c>X.NotGrpc</c> where X is <see cref="GrpcPeer.CodePrefix"/>; <c>Grpc.DeadlineExceeded</c>.
/// Nothing is repeated: the caller knows whether a method may be.
/// </para>
/// </summary>
public sealed class GrpcChannel : IDisposable
{
    /// <summary>The authority is not used on a unix socket; grpc-go sends localhost too.</summary>
    internal static readonly Uri BaseAddress = new("http://localhost");

    /// <summary>
    /// First receive window per stream. .NET starts with 64 KiB and grows it by measuring round trips with PINGs; on a local socket there is nothing to find out.
    /// </summary>
    private const int StreamWindow = 1024 * 1024;

    private GrpcChannel(string address, GrpcPeer peer, int maxReceiveMessageSize)
    {
        Address = address;
        Peer = peer;
        MaxReceiveMessageSize = maxReceiveMessageSize;
        Invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) => await ConnectAsync(address, cancellationToken),
            EnableMultipleHttp2Connections = true,
            InitialHttp2StreamWindowSize = StreamWindow,
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            PooledConnectionIdleTimeout = System.Threading.Timeout.InfiniteTimeSpan,
        });
    }

    /// <summary>Path of the socket.</summary>
    public string Address { get; }

    public GrpcPeer Peer { get; }

    /// <summary>Longest response message in bytes.</summary>
    public int MaxReceiveMessageSize { get; }

    internal HttpMessageInvoker Invoker { get; }

    /// <param name="path">The socket, with or without <c>unix://</c>.</param>
    /// <param name="peer">Who is expected there.</param>
    /// <param name="maxReceiveMessageSize">Bytes.</param>
    public static GrpcChannel ForUnixSocket(string path, GrpcPeer peer, int maxReceiveMessageSize = GrpcProtocol.DefaultMaxMessageSize)
    {
        const string scheme = "unix://";
        return new GrpcChannel(path.StartsWith(scheme, StringComparison.Ordinal) ? path[scheme.Length..] : path, peer, maxReceiveMessageSize);
    }

    public async Task<TResponse> UnaryAsync<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, TRequest request, GrpcCallOptions options = default, CancellationToken cancellationToken = default)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new()
    {
        await using GrpcClientCall<TResponse> call = Start(method, new GrpcSingleContent(request), options, cancellationToken);
        await call.SendAsync();
        TResponse? response = await call.ReadAsync();
        if (response is null || await call.ReadAsync() is not null)
        {
            throw new FailureException(Peer.NotGrpc(Address, $"{method.Path} is unary and {(response is null ? "no" : "more than one")} message came"));
        }

        return response;
    }

    /// <summary>The call starts with the enumeration and is cancelled if that stops early.</summary>
    public async IAsyncEnumerable<TResponse> ServerStreamAsync<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method,
        TRequest request,
        GrpcCallOptions options = default,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new()
    {
        await using GrpcClientCall<TResponse> call = Start(method, new GrpcSingleContent(request), options, cancellationToken);
        await call.SendAsync();
        while (await call.ReadAsync() is { } response)
        {
            yield return response;
        }
    }

    /// <summary>Starts a call in which both sides send messages; client streaming is the same with a single response.</summary>
    public GrpcDuplexCall<TRequest, TResponse> Duplex<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, GrpcCallOptions options = default, CancellationToken cancellationToken = default)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new()
    {
        GrpcDuplexContent content = new();
        return new GrpcDuplexCall<TRequest, TResponse>(Start(method, content, options, cancellationToken), content);
    }

    public void Dispose() => Invoker.Dispose();

    private GrpcClientCall<TResponse> Start<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, HttpContent content, GrpcCallOptions options, CancellationToken cancellationToken)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        new(this, method.Path, GrpcMethod<TRequest, TResponse>.ResponseParser, content, options, cancellationToken);

    private static async Task<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
