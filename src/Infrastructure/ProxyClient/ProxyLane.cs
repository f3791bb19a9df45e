using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>
/// One connection to a proxy, made when it is first needed and again when it is lost. Used by one request at a time. That HttpClient has one connection each, and not a pool that chooses,
/// is what lets a pull get the connection that knows the line best.
/// </summary>
internal sealed class ProxyLane : IDisposable
{
    /// <summary>From here on the sender knows the line: what is in flight on 100 Mbit/s over 80 ms.</summary>
    private const long WarmBytes = 1 << 20;

    /// <summary>Answers that are not read to their end are small (a ping's) or cost a new connection: the next request must not wait for the rest of a bundle.</summary>
    private const int MaxDrain = 64 << 10;

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(15);

    /// <summary>Shorter than what middle boxes remember of a connection that says nothing: the shortest in common use is one minute.</summary>
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(45);

    private static readonly TimeSpan KeepAliveInterval = TimeSpan.FromSeconds(15);
    private const int KeepAliveProbes = 3;

    private volatile Socket? _socket;
    private volatile Socket? _warmed;

    public ProxyLane(SslClientAuthenticationOptions tls) => Http = new HttpClient(new SocketsHttpHandler
    {
        ConnectTimeout = ConnectTimeout,
        ConnectCallback = ConnectAsync,
        MaxConnectionsPerServer = 1,
        MaxResponseDrainSize = MaxDrain,
        PooledConnectionIdleTimeout = TimeSpan.FromHours(1),
        AllowAutoRedirect = false, // credentials stay with the host they were configured for
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        SslOptions = tls,
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    public HttpClient Http { get; }

    /// <summary>When the last request ended (a timestamp of the line's clock); set by the line.</summary>
    public long LastUsed { get; set; }

    /// <summary>If the round trip turns out to be shorter, no connection is made, the first time: later ones are asked for by somebody who wants one anyway.</summary>
    public TimeSpan Shortest { get; set; }

    public bool IsOpen => TcpState.TryRead(_socket, out _);

    /// <summary>A pull on it begins at the line's speed.</summary>
    public bool IsWarm => TcpState.TryRead(_socket, out TcpState state) && (state.Received >= WarmBytes || _warmed == _socket);

    /// <summary>Bytes that the connection has brought; 0 if there is none.</summary>
    public long Received => TcpState.TryRead(_socket, out TcpState state) ? state.Received : 0;

    /// <summary>Zero if there is no connection, or the kernel has not measured.</summary>
    public TimeSpan RoundTrip => TcpState.TryRead(_socket, out TcpState state) ? state.RoundTrip : TimeSpan.Zero;

    /// <summary>There is no more to learn about the line, until the connection is lost.</summary>
    public void SetWarm() => _warmed = _socket;

    public void Dispose() => Http.Dispose();

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, (int)KeepAlive.TotalSeconds);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, (int)KeepAliveInterval.TotalSeconds);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, KeepAliveProbes);
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            _socket = socket;
            TimeSpan shortest = Shortest;
            Shortest = TimeSpan.Zero;
            return RoundTrip < shortest ? throw new IOException("the line is shorter than those that the connection is for") : new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
