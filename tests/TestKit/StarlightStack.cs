using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Starlight.TestKit;

/// <summary>What is on a worker, to be compared before and after something that must leave nothing behind.</summary>
public sealed record WorkerContents(IReadOnlyList<string> Images, IReadOnlyList<string> Snapshots, IReadOnlyList<string> Trees, int Objects)
{
    /// <summary>Lines, so that two can be compared in one assertion.</summary>
    public override string ToString() =>
        $"images: {string.Join(' ', Images)}\nsnapshots: {string.Join(' ', Snapshots)}\ntrees: {string.Join(' ', Trees)}\nobjects: {Objects.ToString(CultureInfo.InvariantCulture)}";
}

/// <summary>
/// Everything there is between a registry and a container, as real processes on ports, sockets and directories of their own: docker-registry, starlight-proxy (SQLite), a
/// relay for its stream, starlight-daemon, containerd with the daemon as its snapshotter. Needs root.
/// <para>Disposing stops all of it, also after a start that failed half-way: containers first, then the servers, then what is still mounted, then the directories.</para>
/// </summary>
public sealed partial class StarlightStack : IAsyncDisposable
{
    public const string Snapshotter = "starlight";

    private const int MntDetach = 2;

    private static readonly TimeSpan s_startDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_commandDeadline = TimeSpan.FromMinutes(2);

    private readonly ScratchDirectory _scratch = new();
    private readonly TcpRelay _relay = new();
    private RegistryServer? _registry;
    private ContainerdServer? _containerd;
    private ServerProgram? _proxy;
    private ServerProgram? _daemon;
    private readonly ConcurrentBag<string> _given = [];
    private int _names;

    private StarlightStack()
    {
        // Others may look at the daemon's socket, so that its own mode is what keeps them out.
        File.SetUnixFileMode(_scratch.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        ProxyPort = FreePort();
        _relay.TargetPort = ProxyPort;
        Directory.CreateDirectory(DockerConfigDirectory);
    }

    public RegistryServer Registry => _registry!;

    public ContainerdServer Containerd => _containerd!;

    /// <summary>Between proxy and daemon.</summary>
    public TcpRelay Relay => _relay;

    public int ProxyPort { get; }

    public Uri ProxyUrl => new($"http://127.0.0.1:{ProxyPort}/");

    /// <summary>The daemon's store.</summary>
    public string FsRoot => _scratch["worker"];

    public string ObjectsDirectory => Path.Combine(FsRoot, "objects");

    public string DaemonSocket => _scratch["daemon.sock"];

    public string SnapshotterSocket => _scratch["snapshotter.sock"];

    /// <summary>Where the proxy and the CLI look for registry credentials.</summary>
    public string DockerConfigDirectory => _scratch["docker"];

    /// <summary>The image of a pod's first process: <see cref="PushPauseAsync"/>.</summary>
    public string PauseImage => Reference("pause:1");

    /// <summary>What proxy and daemon have written so far.</summary>
    public string Logs => $"--- starlight-proxy\n{_proxy?.Log}--- starlight-daemon\n{_daemon?.Log}";

    /// <summary>Connections that the daemon keeps to the proxy, from its next start on. None: tests count what goes through the relay.</summary>
    public int WarmConnections { get; set; }

    /// <summary>More arguments for the daemon, from its next start on.</summary>
    public IReadOnlyList<string> DaemonArguments { get; set; } = [];

    /// <summary>More arguments for the proxy, from its next start on.</summary>
    public IReadOnlyList<string> ProxyArguments { get; set; } = [];

    /// <summary>Where the daemon's flag says that the proxy is: protocol, address and login of its default profile. Null: in the clear, without a login, through the relay.</summary>
    public string? ProxyProfile { get; set; }

    /// <summary>A file or directory of the test's own that goes with the stack.</summary>
    public string Scratch(string name) => _scratch[name];

    public int DaemonPid => _daemon!.Pid;

    /// <param name="registryCredentials">Null: anonymous; else the registry asks for them.</param>
    /// <param name="cri">With containerd's CRI plugin, as Kubernetes uses it, on this snapshotter.</param>
    /// <param name="criAnnotations">See <see cref="CriOptions"/>.</param>
    /// <param name="daemonArguments">See <see cref="DaemonArguments"/>.</param>
    public static async Task<StarlightStack> StartAsync(
        (string User, string Password)? registryCredentials = null, bool cri = false, bool criAnnotations = true, IReadOnlyList<string>? daemonArguments = null)
    {
        Requirements.Root();
        foreach (string program in new[] { "containerd", "runc", "docker-registry", "skopeo", "tar" })
        {
            Requirements.Program(program);
        }

        StarlightStack stack = new() { DaemonArguments = daemonArguments ?? [] };
        try
        {
            stack._registry = await RegistryServer.StartAsync(registryCredentials);
            await stack.StartProxyAsync();
            stack._containerd = await ContainerdServer.StartAsync(new ContainerdServerOptions
            {
                SnapshotterAddress = stack.SnapshotterSocket,
                Cri = cri ? new CriOptions(Snapshotter, stack.PauseImage, criAnnotations) : null,
            });
            await stack.StartDaemonAsync();
            return stack;
        }
        catch
        {
            await stack.DisposeAsync();
            throw;
        }
    }

    public async Task StartProxyAsync() => _proxy = await ServerProgram.StartAsync(
        [.. StarlightProgram.Proxy, "--host", "127.0.0.1", "--port", ProxyPort.ToString(CultureInfo.InvariantCulture), "--data-dir", _scratch["proxy"], .. ProxyArguments],
        line => line.Contains(" listens on http", StringComparison.Ordinal),
        s_startDeadline,
        new Dictionary<string, string> { ["DOCKER_CONFIG"] = DockerConfigDirectory });

    public async Task StopProxyAsync()
    {
        await _proxy!.KillAsync();
        await _proxy.DisposeAsync();
        _proxy = null;
    }

    public async Task StartDaemonAsync()
    {
        _daemon = await ServerProgram.StartAsync(
            [
                .. StarlightProgram.Daemon, "-c", _scratch["daemon.json"], "--fs-root", FsRoot, "--socket", SnapshotterSocket, "--daemon", DaemonSocket,
                "--containerd", Containerd.Address, "--proxy", ProxyProfile ?? $"local,http,127.0.0.1:{Relay.Port}", .. DaemonArguments,
            ],
            line => line.Contains(" ready: ", StringComparison.Ordinal),
            s_startDeadline,
            new Dictionary<string, string> { ["STARLIGHT_PROXY_CONNECTIONS"] = WarmConnections.ToString(CultureInfo.InvariantCulture) });

        await Containerd.ReachSnapshotterAsync();
    }

    /// <summary>SIGKILL, as a crash does.</summary>
    public Task KillDaemonAsync() => _daemon!.KillAsync();

    /// <summary>SIGTERM.</summary>
    /// <returns>The daemon's exit code.</returns>
    public Task<int> StopDaemonAsync() => _daemon!.StopAsync();

    /// <summary>A name that nobody else on this machine has: runc keeps the state of all containers of a namespace in one directory, whichever containerd they belong to.</summary>
    public string NewName(string prefix)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"{prefix}{Interlocked.Increment(ref _names)}-{Path.GetFileName(_scratch.Path).ToLowerInvariant()}");
        _given.Add(name);
        return name;
    }

    /// <summary>A reference in this registry.</summary>
    public string Reference(string repositoryAndTag) => $"{Registry.Host}/{repositoryAndTag}";

    /// <summary>Pushes what skopeo can read, e.g. <c>docker-archive:FILE</c> or <c>oci:DIR:TAG</c>.</summary>
    /// <returns>The reference.</returns>
    public async Task<string> PushAsync(string source, string repositoryAndTag)
    {
        (await RunAsync("skopeo", ["copy", "--quiet", "--dest-tls-verify=false", source, $"docker://{Reference(repositoryAndTag)}"])).Succeeded();
        return Reference(repositoryAndTag);
    }

    /// <summary>Makes a runnable image of shell scripts (see <see cref="TinyImage"/>) and pushes it.</summary>
    public async Task<string> PushTinyAsync(string repositoryAndTag, params string[] scripts)
    {
        string archive = _scratch[NewName("archive") + ".tar"];
        TinyImage.Write(archive, "starlight.test/tiny:1", scripts);
        try
        {
            return await PushAsync($"docker-archive:{archive}", repositoryAndTag);
        }
        finally
        {
            File.Delete(archive);
        }
    }

    /// <summary>Makes the image that keeps a pod's namespaces, and pushes it.</summary>
    public async Task PushPauseAsync()
    {
        string archive = _scratch["pause.tar"];
        TinyImage.Write(archive, "starlight.test/pause:1", ["/bin/sleep", "infinity"], ["mkdir bin; cp -L /bin/sleep bin/"]);
        await PushAsync($"docker-archive:{archive}", "pause:1");
    }

    /// <summary>Runs <c>ctr-starlight</c> against this daemon.</summary>
    public Task<ProcessOutcome> Cli(params string[] arguments) => RunAsync(StarlightProgram.Cli[0], CliArguments(arguments));

    /// <summary>The same, with something on standard input.</summary>
    public Task<ProcessOutcome> CliWithInput(string input, string[] arguments) => RunAsync(StarlightProgram.Cli[0], CliArguments(arguments), input);

    /// <summary>The same, without waiting for its end.</summary>
    public ChildProcess StartCli(params string[] arguments) =>
        ChildProcess.Start(StarlightProgram.Cli[0], CliArguments(arguments), new Dictionary<string, string> { ["DOCKER_CONFIG"] = DockerConfigDirectory });

    /// <summary>The same, as the user nobody with no groups.</summary>
    public Task<ProcessOutcome> CliAsNobody(params string[] arguments) =>
        RunAsync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", "--", StarlightProgram.Cli[0], .. CliArguments(arguments)]);

    /// <summary>Runs <c>ctr</c> against this containerd.</summary>
    public Task<ProcessOutcome> Ctr(params string[] arguments) => RunAsync("ctr", ["--address", Containerd.Address, .. arguments]);

    public ChildProcess StartCtr(params string[] arguments) => Containerd.StartCtr(arguments);

    public async Task NotifyAsync(string reference) => (await Cli("notify", reference)).Succeeded();

    /// <summary>Pulls and waits for every content.</summary>
    public async Task PullWholeAsync(params string[] references) => (await Cli(["pull", "--disable-early-start", .. references])).Succeeded();

    /// <summary>Runs a command in a container of its own to its end and removes the container.</summary>
    /// <returns>What it wrote to its standard output.</returns>
    public async Task<string> RunAsync(string reference, string[] command, string snapshotter = Snapshotter, params string[] options)
    {
        using LoggedCtr run = StartRun(reference, command, snapshotter, options);
        return (await run.WaitAsync(s_commandDeadline)).Succeeded();
    }

    /// <summary>The same, without waiting for its end.</summary>
    public LoggedCtr StartRun(string reference, string[] command, string snapshotter = Snapshotter, params string[] options) =>
        new(_scratch[NewName("output")], logging => StartCtr(["run", "--rm", .. logging, "--snapshotter", snapshotter, .. options, reference, NewName("run"), .. command]));

    /// <summary>Runs a command in a running container to its end.</summary>
    /// <returns>What it wrote to its standard output.</returns>
    public async Task<string> ExecAsync(string container, params string[] command)
    {
        using LoggedCtr exec = StartExec(container, command);
        return (await exec.WaitAsync(s_commandDeadline)).Succeeded();
    }

    /// <summary>The same, without waiting for its end.</summary>
    public LoggedCtr StartExec(string container, params string[] command) =>
        new(_scratch[NewName("output")], logging => StartCtr(["task", "exec", .. logging, "--exec-id", NewName("exec"), container, .. command]));

    /// <summary>Starts a container that goes on running until the stack or the container is removed. Returns its name.</summary>
    public async Task<string> StartContainerAsync(string reference, string[] command, string snapshotter = Snapshotter)
    {
        string name = NewName("container");
        (await Ctr(["run", "-d", "--snapshotter", snapshotter, reference, name, .. command])).Succeeded();
        return name;
    }

    public async Task RemoveContainerAsync(string name)
    {
        _ = await Ctr("task", "kill", "--signal", "SIGKILL", name);
        _ = await Ctr("task", "delete", "--force", name);
        (await Ctr("container", "delete", name)).Succeeded();
    }

    /// <summary>Process id of a container's first process.</summary>
    public async Task<int> PidOfAsync(string container)
    {
        // TASK PID STATUS
        string line = (await Ctr("task", "ls")).Succeeded().Split('\n').Single(l => l.StartsWith(container + " ", StringComparison.Ordinal));
        return int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }

    /// <summary>A running container's root filesystem as the machine sees it, without what the runtime mounts below it.</summary>
    public string RootOf(string container, string containerdNamespace = "default") =>
        Path.Combine(Containerd.State, "io.containerd.runtime.v2.task", containerdNamespace, container, "rootfs");

    public async Task<WorkerContents> ContentsAsync() => new(
        Lines((await Ctr("images", "ls", "-q")).Succeeded()),
        [.. Lines((await Ctr("snapshots", "--snapshotter", Snapshotter, "ls")).Succeeded()).Skip(1).Select(l => l.Split(' ')[0])],
        Directory.Exists(Path.Combine(FsRoot, "images")) ? [.. Directory.EnumerateDirectories(Path.Combine(FsRoot, "images")).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal)] : [],
        Directory.Exists(ObjectsDirectory) ? Directory.EnumerateFiles(ObjectsDirectory, "*", SearchOption.AllDirectories).Count(f => Path.GetFileName(f).Length == 62) : 0);

    public async ValueTask DisposeAsync()
    {
        // A container's process that waits in the gate ends with it; containerd's own mounts go with containerd.
        if (_containerd is not null)
        {
            await _containerd.DisposeAsync();
        }

        if (_daemon is not null)
        {
            await _daemon.StopAsync();
            await _daemon.DisposeAsync();
        }

        if (_proxy is not null)
        {
            await _proxy.DisposeAsync();
        }

        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }

        await _relay.DisposeAsync();
        List<MountEntry> mounts = MountEntry.ReadAll();
        mounts.Reverse();
        foreach (MountEntry mount in mounts.Where(m => m.Path.StartsWith(_scratch.Path + "/", StringComparison.Ordinal)))
        {
            if (umount2(mount.Path, MntDetach) != 0)
            {
                throw new InvalidOperationException($"umount {mount.Path}: {Marshal.GetLastPInvokeErrorMessage()}");
            }
        }

        // A container whose shim was killed leaves this behind; see NewName.
        foreach (string state in _given.Select(name => Path.Combine("/run/containerd/runc/default", name)).Where(Directory.Exists))
        {
            Directory.Delete(state, recursive: true);
        }

        _scratch.Dispose();
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private string[] CliArguments(string[] arguments) => [.. StarlightProgram.Cli.Skip(1), .. arguments, "--address", DaemonSocket];

    /// <summary>Output as Latin-1: file names are bytes.</summary>
    private async Task<ProcessOutcome> RunAsync(string program, string[] arguments, string input = "")
    {
        ProcessStartInfo start = new(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            StandardOutputEncoding = Encoding.Latin1,
            UseShellExecute = false,
        };
        start.Environment["DOCKER_CONFIG"] = DockerConfigDirectory;
        using Process process = Process.Start(start)!;
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        using CancellationTokenSource patience = new(s_commandDeadline);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException e)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} ran longer than {s_commandDeadline}\n{Logs}", e);
        }

        return new ProcessOutcome($"{program} {string.Join(' ', arguments)}", process.ExitCode, await output, await errors);
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int umount2(string target, int flags);
}
