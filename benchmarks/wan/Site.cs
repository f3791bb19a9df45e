using System.Diagnostics;
using System.Globalization;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.TestKit;

namespace Starlight.Benchmarks.Wan;

/// <summary>How one pull went.</summary>
/// <param name="Line">As the link saw it.</param>
/// <param name="Asked">When whoever pulls was told to, as a timestamp of Stopwatch.</param>
/// <param name="Command">Seconds from then on until everything was in and stored.</param>
internal sealed record Pull(Exchange Line, long Asked, double Command)
{
    /// <summary>Seconds from being told to to the last byte: what was waited for before the first packet counts.</summary>
    public double SinceAsked => ((Line.Started - Asked) / (double)Stopwatch.Frequency) + Line.LastByte;
}

/// <summary>
/// The real programs on both sides of a link: registry and two proxies (one sends with BBR, one with CUBIC as most servers do) here, daemon and containerd's client there. containerd itself runs
/// here, but is only reached by its socket.
/// </summary>
internal sealed class Site : IAsyncDisposable
{
    public const int BbrPort = 8090;
    public const int CubicPort = 8091;

    /// <summary>What a pull asks first.</summary>
    private const string Request = "GET /starlight/delta?";

    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    private readonly EmulatedLink _link;
    private readonly ScratchDirectory _scratch = new();
    private readonly List<ServerProgram> _proxies = [];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromMinutes(5) };
    private RegistryServer? _registry;
    private ContainerdServer? _containerd;
    private ServerProgram? _daemon;
    private int _daemons;

    private Site(EmulatedLink link) => _link = link;

    public static async Task<Site> StartAsync(EmulatedLink link)
    {
        Site site = new(link);
        try
        {
            site._registry = await RegistryServer.StartAsync(address: EmulatedLink.ServerAddress);
            await site.StartProxyAsync(BbrPort, "bbr");
            await site.StartProxyAsync(CubicPort, "cubic");
            return site;
        }
        catch
        {
            await site.DisposeAsync();
            throw;
        }
    }

    /// <summary>Makes an image with so many bytes that do not compress, and has both proxies index it.</summary>
    /// <returns>Its reference.</returns>
    public async Task<string> PublishAsync(string name, int seed, int bytes)
    {
        const int File = 50_000;
        byte[] noise = new byte[bytes];
        new Random(seed).NextBytes(noise);
        TarBuilder tar = new TarBuilder().Directory($"data{seed}");
        for (int at = 0; at < bytes; at += File)
        {
            tar.File(string.Create(CultureInfo.InvariantCulture, $"data{seed}/{at / File:D5}"), noise[at..Math.Min(bytes, at + File)]);
        }

        using ImagePusher pusher = new(_registry!.Host, name);
        await pusher.ImageAsync($"v{seed}", [tar.Build()]);
        string reference = $"{_registry.Host}/{name}:v{seed}";
        foreach (int port in new[] { BbrPort, CubicPort })
        {
            using HttpResponseMessage answer = await _http.PostAsync(new Uri($"http://{EmulatedLink.ServerAddress}:{port}/starlight/notify?insecure=true&ref={reference}"), content: null);
            answer.EnsureSuccessStatusCode();
        }

        return reference;
    }

    /// <summary>Starts a daemon with nothing in its store, and containerd for it.</summary>
    public async Task StartDaemonAsync(params string[] arguments)
    {
        await StopDaemonAsync();
        string root = _scratch[string.Create(CultureInfo.InvariantCulture, $"worker{++_daemons}")];
        _containerd = await ContainerdServer.StartAsync(new ContainerdServerOptions { SnapshotterAddress = root + ".sock" });
        await _containerd.StopAsync();
        _daemon = await _link.Worker.Run(() => ServerProgram.StartAsync(
            [
                .. StarlightProgram.Daemon, "-c", root + ".json", "--fs-root", root, "--socket", root + ".sock", "--daemon", root + ".commands", "--containerd", _containerd.Address,
                "--proxy", $"far,http,{EmulatedLink.ServerAddress}:{BbrPort}", .. arguments,
            ],
            line => line.Contains(" ready: ", StringComparison.Ordinal),
            s_deadline));

        // After the daemon: it would wait seconds before it tried again to reach a snapshotter that is not there.
        await _containerd.RestartAsync();
    }

    /// <summary>Waits until the daemon has said so.</summary>
    public async Task WaitForDaemonAsync(string what)
    {
        for (long started = Stopwatch.GetTimestamp(); !_daemon!.Log.Contains(what, StringComparison.Ordinal); await Task.Delay(20))
        {
            if (Stopwatch.GetElapsedTime(started) > s_deadline)
            {
                throw new TimeoutException($"the daemon never says '{what}'\n{_daemon.Log}");
            }
        }
    }

    /// <summary>Pulls as <c>ctr-starlight</c> does, until every content is here; without that program, whose start takes longer on a busy machine than the daemon needs to get its connections warm.</summary>
    public async Task<Pull> PullAsync(string reference)
    {
        using GrpcChannel daemon = GrpcChannel.ForUnixSocket(_scratch[$"worker{_daemons}.commands"], GrpcPeer.Daemon);
        PullImageRequest request = new() { Namespace = "default", DisableEarlyStart = true };
        request.References.Add(reference);
        _link.Tap.Watch(BbrPort, Request);
        long asked = Stopwatch.GetTimestamp();
        await foreach (PullProgress _ in daemon.ServerStreamAsync(DaemonMethods.PullImage, request, default, CancellationToken.None))
        {
            // until the last
        }

        return new Pull(_link.Tap.Seen, asked, Stopwatch.GetElapsedTime(asked).TotalSeconds);
    }

    /// <summary>Gets the same bundle with an ordinary HTTP client on a connection of its own.</summary>
    public async Task<Pull> DownloadAsync(string reference, int port)
    {
        using HttpClient client = new(new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                System.Net.Sockets.Socket socket = _link.Worker.Run(() => new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.InterNetwork, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp));
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
            },
        });
        _link.Tap.Watch(port, Request);
        long started = Stopwatch.GetTimestamp();
        await client.GetByteArrayAsync(new Uri($"http://{EmulatedLink.ServerAddress}:{port}/starlight/delta?platform=linux/amd64&to={reference}"));
        return new Pull(_link.Tap.Seen, started, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    /// <summary>Pulls the way containerd does by itself, from the registry.</summary>
    public async Task<Pull> OrdinaryPullAsync(string reference)
    {
        _link.Tap.Watch(_registry!.Port, head: "");
        long started = Stopwatch.GetTimestamp();
        Task<ProcessOutcome> pull = _link.Worker.Run(() => _containerd!.Ctr("image", "pull", "--plain-http", "--snapshotter", "overlayfs", reference));
        (await pull).Succeeded();
        return new Pull(_link.Tap.Seen, started, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    public async ValueTask DisposeAsync()
    {
        _link.Shape = LinkShape.Wire;
        await StopDaemonAsync();
        foreach (ServerProgram proxy in _proxies)
        {
            await proxy.DisposeAsync();
        }

        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }

        _http.Dispose();
        _scratch.Dispose();
    }

    private async Task StopDaemonAsync()
    {
        if (_containerd is not null)
        {
            await _containerd.DisposeAsync();
            _containerd = null;
        }

        if (_daemon is not null)
        {
            await _daemon.StopAsync();
            await _daemon.DisposeAsync();
            _daemon = null;
        }
    }

    private async Task StartProxyAsync(int port, string congestionControl) => _proxies.Add(await ServerProgram.StartAsync(
        [.. StarlightProgram.Proxy, "--host", EmulatedLink.ServerAddress, "--port", port.ToString(CultureInfo.InvariantCulture), "--data-dir", _scratch[$"proxy{port}"]],
        line => line.Contains(" listens on http", StringComparison.Ordinal),
        s_deadline,
        new Dictionary<string, string> { ["STARLIGHT_CONGESTION_CONTROL"] = congestionControl }));
}
