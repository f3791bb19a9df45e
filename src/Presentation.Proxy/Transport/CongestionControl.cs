using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace Starlight.Presentation.Proxy.Transport;

/// <summary>
/// Sends with BBR where the kernel offers it. A connection that has carried data and was idle starts at its old speed under BBR, but from scratch under
/// CUBIC (net.ipv4.tcp_slow_start_after_idle): measured at 150 ms and 100 Mbit/s, 1 MB takes 0.23 s instead of 1.06 s.
/// </summary>
internal static class CongestionControl
{
    public const string Default = "bbr";

    /// <summary>Leaves the choice to the kernel (net.ipv4.tcp_congestion_control).</summary>
    public const string System = "system";

    /// <summary>TCP_CA_NAME_MAX of linux/tcp.h, with the final zero.</summary>
    private const int MaxName = 16;

    /// <summary>IPPROTO_TCP, TCP_CONGESTION of linux/tcp.h.</summary>
    private const int Tcp = 6;

    private const int TcpCongestion = 13;

    /// <summary>
    /// What keeps connections that idle in middle boxes: those of daemons are idle on purpose. The daemon asks more often, so this only finds out that one is gone without a word.
    /// </summary>
    private const int KeepAliveSeconds = 120;

    public static bool IsName(string text) => text.Length is > 0 and < MaxName && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');

    /// <summary>Accepted sockets inherit what is set here.</summary>
    /// <param name="endpoint">Where to listen.</param>
    /// <param name="name">As the kernel calls it, or <see cref="System"/>.</param>
    /// <param name="logger">Told once what answers are sent with.</param>
    public static Socket CreateListenSocket(EndPoint endpoint, string name, ILogger logger)
    {
        Socket socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, KeepAliveSeconds);
        try
        {
            if (name != System)
            {
                socket.SetRawSocketOption(Tcp, TcpCongestion, Encoding.ASCII.GetBytes(name));
            }

            ProxyLog.SendsWith(logger, InUse(socket));
        }
        catch (SocketException e)
        {
            ProxyLog.NoCongestionControl(logger, name, e.Message, InUse(socket));
        }

        return socket;
    }

    private static string InUse(Socket socket)
    {
        byte[] name = new byte[MaxName];
        int length = socket.GetRawSocketOption(Tcp, TcpCongestion, name);
        return Encoding.ASCII.GetString(name, 0, length).TrimEnd('\0');
    }
}
