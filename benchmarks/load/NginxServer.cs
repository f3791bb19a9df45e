using System.Net;
using System.Net.Sockets;
using Starlight.TestKit;

namespace Starlight.Benchmarks.Load;

/// <summary>
/// Debian's nginx with a configuration of our own: static files of one directory on a loopback port. Where it is not installed its package is fetched and unpacked into the scratch
/// directory, so nothing is left on the machine. It ends when disposed.
/// </summary>
internal sealed class NginxServer : IAsyncDisposable
{
    private readonly ServerProgram _process;

    private NginxServer(ServerProgram process, IPEndPoint endPoint) => (_process, EndPoint) = (process, endPoint);

    public IPEndPoint EndPoint { get; }

    public ProcessFigures Process => new(_process.Pid);

    /// <param name="scratch">For its files.</param>
    /// <param name="directory">What it serves.</param>
    public static async Task<NginxServer> StartAsync(ScratchDirectory scratch, string directory)
    {
        string program = Find(scratch);
        string home = scratch.Create("nginx");
        IPEndPoint endPoint = new(IPAddress.Loopback, FreePort());
        string configuration = Path.Combine(home, "nginx.conf");

        // As Debian's own nginx.conf: a process per core, sendfile, tcp_nopush. Neither side logs requests.
        await File.WriteAllTextAsync(
            configuration,
            $$"""
            daemon off;
            worker_processes auto;
            pid {{home}}/pid;
            error_log stderr notice;
            events { worker_connections 1024; }
            http {
              access_log off;
              sendfile on;
              tcp_nopush on;
              types_hash_max_size 2048;
              client_body_temp_path {{home}}/body;
              proxy_temp_path {{home}}/proxy;
              fastcgi_temp_path {{home}}/fastcgi;
              uwsgi_temp_path {{home}}/uwsgi;
              scgi_temp_path {{home}}/scgi;
              server { listen {{endPoint}} backlog=1024; root {{directory}}; }
            }
            """);

        // The files belong to whoever runs this; nginx's workers would become nobody.
        string[] user = Environment.UserName == "root" ? ["-g", "user root;"] : [];
        ServerProgram process = await ServerProgram.StartAsync(
            [program, "-p", home, "-c", configuration, .. user], line => line.Contains("start worker process ", StringComparison.Ordinal), TimeSpan.FromSeconds(20));
        return new NginxServer(process, endPoint);
    }

    /// <summary>Killing the master would leave its workers behind.</summary>
    public async ValueTask DisposeAsync()
    {
        await _process.StopAsync();
        await _process.DisposeAsync();
    }

    private static string Find(ScratchDirectory scratch)
    {
        const string installed = "/usr/sbin/nginx";
        if (File.Exists(installed))
        {
            return installed;
        }

        string package = scratch.Create("nginx-package");
        Tool.Bash("apt-get download -q nginx >&2 && dpkg -x nginx_*.deb .", package);
        return package + installed;
    }

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
