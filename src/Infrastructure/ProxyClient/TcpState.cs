using System.Buffers.Binary;
using System.Net.Sockets;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>What the kernel knows of a connection (TCP_INFO, struct tcp_info of linux/tcp.h).</summary>
/// <param name="Received">Bytes of payload since the connection was made.</param>
/// <param name="RoundTrip">The shortest of the last minutes; zero if none was measured.</param>
internal readonly record struct TcpState(long Received, TimeSpan RoundTrip)
{
    private const int Tcp = 6;
    private const int TcpInfo = 11;
    private const byte Established = 1;

    // offsets in the structure; fields are only ever added at its end
    private const int StateAt = 0;
    private const int ReceivedAt = 128;
    private const int RoundTripAt = 148;
    private const int Length = 152;

    /// <summary>False if the connection is closed, on either side.</summary>
    public static bool TryRead(Socket? socket, out TcpState state)
    {
        state = default;
        Span<byte> info = stackalloc byte[Length];
        try
        {
            if (socket is null || socket.GetRawSocketOption(Tcp, TcpInfo, info) < Length || info[StateAt] != Established)
            {
                return false;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }

        uint microseconds = BinaryPrimitives.ReadUInt32LittleEndian(info[RoundTripAt..]);
        state = new TcpState(BinaryPrimitives.ReadInt64LittleEndian(info[ReceivedAt..]), microseconds == uint.MaxValue ? TimeSpan.Zero : TimeSpan.FromMicroseconds(microseconds));
        return true;
    }
}
