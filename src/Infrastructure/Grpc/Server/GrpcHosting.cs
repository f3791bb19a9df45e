using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;

namespace Starlight.Infrastructure.Grpc;

public static class GrpcHosting
{
    /// <summary>
    /// containerd keeps one connection per proxy plugin, and a Prepare or Mounts may wait for content; with Kestrel's default of 100 streams one busy node would queue behind that.
    /// </summary>
    private const int MaxStreamsPerConnection = 1000;

    /// <summary>
    /// Serves HTTP/2 with prior knowledge on claimed sockets. The caller disposes the listeners after the host has stopped.
    /// </summary>
    public static IWebHostBuilder UseGrpcUnixSockets(this IWebHostBuilder builder, params UnixSocketListener[] listeners)
    {
        builder.ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.Limits.Http2.MaxStreamsPerConnection = MaxStreamsPerConnection;

            // A CLI that is stopped at the terminal reads its progress stream at zero bytes per second and may be continued.
            options.Limits.MinResponseDataRate = null;
            foreach (UnixSocketListener listener in listeners)
            {
                options.ListenUnixSocket(listener.Path, listen => listen.Protocols = HttpProtocols.Http2);
            }
        });
        return builder.ConfigureServices(services => services.Configure<SocketTransportOptions>(transport =>
        {
            Func<EndPoint, Socket> bind = transport.CreateBoundListenSocket;
            transport.CreateBoundListenSocket = endPoint =>
                endPoint is UnixDomainSocketEndPoint unix && Array.Find(listeners, l => l.Path == unix.ToString()) is { } claimed ? claimed.Socket : bind(endPoint);
        }));
    }
}
