using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Starlight.TestKit;

/// <summary>How a private containerd is set up.</summary>
public sealed record ContainerdServerOptions
{
    /// <summary>Socket of a proxy snapshotter; null for none. Nobody needs to listen there before it is used.</summary>
    public string? SnapshotterAddress { get; init; }

    /// <summary>Enables the CRI plugin, as Kubernetes uses it; null: it is not there.</summary>
    public CriOptions? Cri { get; init; }
}

/// <summary>The part of a Kubernetes node's configuration that is about images.</summary>
/// <param name="Snapshotter">Where images go.</param>
/// <param name="PauseImage">Image of a pod's first process.</param>
/// <param name="Annotations">
/// Whether the CRI plugin itself names the image to the snapshotter. If not, the transfer service does, through which the plugin pulls from containerd 2.1 on.
/// </param>
public sealed record CriOptions(string Snapshotter, string PauseImage, bool Annotations = true);

/// <summary>
/// A containerd of one test's own: own root, state, sockets and log below one temporary directory, so that it neither sees nor disturbs another. Needs root.
/// <para>
/// Disposing stops this containerd by its process id and the shims and containers that it started (found by the address of its socket on their command lines), unmounts what is
/// mounted below its directory and deletes that. Nothing is looked up by name alone.
/// </para>
/// </summary>
public sealed partial class ContainerdServer : IAsyncDisposable
{
    /// <summary>Under which containerd knows the proxy snapshotter.</summary>
    public const string SnapshotterName = "starlight";

    private const int SigKill = 9;
    private const int SigTerm = 15;
    private const int MntDetach = 2;

    private static readonly TimeSpan s_startDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_stopDeadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_ctrDeadline = TimeSpan.FromMinutes(5);

    private readonly DirectoryInfo _directory = System.IO.Directory.CreateTempSubdirectory("starlight-ctrd-");
    private readonly Cgroups _cgroups = Cgroups.Ensure();
    private readonly StringBuilder _log = new();
    private Process? _process;

    private ContainerdServer(ContainerdServerOptions options)
    {
        // As /run/containerd has it: root of a user namespace is nobody here, and has to get to its container's root all the same.
        _directory.UnixFileMode |= UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        File.WriteAllText(ConfigPath, Configuration(options));
    }

    /// <summary>Everything of this containerd is below it.</summary>
    public string Directory => _directory.FullName;

    public string Root => Path.Combine(Directory, "root");

    public string State => Path.Combine(Directory, "state");

    /// <summary>Path of the socket.</summary>
    public string Address => Path.Combine(Directory, "containerd.sock");

    public string ConfigPath => Path.Combine(Directory, "config.toml");

    /// <summary>What containerd has written so far.</summary>
    public string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    public static async Task<ContainerdServer> StartAsync(ContainerdServerOptions? options = null)
    {
        ContainerdServer server = new(options ?? new ContainerdServerOptions());
        try
        {
            await server.StartProcessAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs <c>ctr</c> against this containerd.</summary>
    public Task<ProcessOutcome> Ctr(params string[] arguments) => RunClient("ctr", arguments);

    /// <summary>Runs any client program, e.g. <c>ctr-remote</c>, with <c>--address</c> in front of its arguments.</summary>
    public Task<ProcessOutcome> RunClient(string program, params string[] arguments) => ProcessRunner.RunAsync(program, ["--address", Address, .. arguments], s_ctrDeadline);

    /// <summary>
    /// Waits until containerd reaches its snapshotter. It gives a connection one second to be ready, pauses for up to 3 s after a failure, and fails at once what it is asked for
    /// meanwhile; a list of nothing it would answer by itself.
    /// </summary>
    public async Task ReachSnapshotterAsync()
    {
        string probe = $"probe-{Guid.NewGuid():N}";
        long started = Stopwatch.GetTimestamp();
        ProcessOutcome answer;
        while ((answer = await Ctr("snapshots", "--snapshotter", SnapshotterName, "prepare", probe)).ExitCode != 0)
        {
            if (Stopwatch.GetElapsedTime(started) > s_startDeadline)
            {
                throw new TimeoutException($"containerd does not reach the snapshotter: {answer.ErrorOutput}");
            }

            await Task.Delay(50);
        }

        (await Ctr("snapshots", "--snapshotter", SnapshotterName, "rm", probe)).Succeeded();
        await CollectAsync();
    }

    /// <summary>Starts <c>ctr</c> against this containerd, without waiting for its end.</summary>
    public ChildProcess StartCtr(params string[] arguments) => ChildProcess.Start("ctr", ["--address", Address, .. arguments]);

    /// <summary>Has the garbage collected, which is when the snapshotter hears of what was removed. Removing a lease is what a client can wait for.</summary>
    public async Task CollectAsync()
    {
        string lease = (await Ctr("leases", "create")).Succeeded().Trim();
        (await Ctr("leases", "delete", "--sync", lease)).Succeeded();
    }

    /// <summary>Stops containerd, as an upgrade does: containers and mounts stay.</summary>
    public async Task StopAsync()
    {
        if (_process is not { } process)
        {
            return;
        }

        if (!process.HasExited)
        {
            _ = kill(process.Id, SigTerm);
            using CancellationTokenSource patience = new(s_stopDeadline);
            try
            {
                await process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                _ = kill(process.Id, SigKill);
                await process.WaitForExitAsync(CancellationToken.None);
            }
        }

        process.Dispose();
        _process = null;
    }

    /// <summary>Stops it and starts it again on the same state.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await StartProcessAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await KillShimsAsync();
        List<MountEntry> mounts = MountEntry.ReadAll();
        mounts.Reverse();
        foreach (MountEntry mount in mounts.Where(m => m.Path.StartsWith(Directory + "/", StringComparison.Ordinal)))
        {
            if (umount2(mount.Path, MntDetach) != 0)
            {
                throw new InvalidOperationException($"umount {mount.Path}: {Marshal.GetLastPInvokeErrorMessage()}");
            }
        }

        _directory.Delete(recursive: true);
        _cgroups.Dispose();
    }

    private string Configuration(ContainerdServerOptions options)
    {
        List<string> disabled = [.. new[] { "btrfs", "zfs", "aufs", "devmapper" }.Select(name => $"\"io.containerd.snapshotter.v1.{name}\"")];
        if (options.Cri is null)
        {
            disabled.Add("\"io.containerd.grpc.v1.cri\"");
        }

        string proxy = options.SnapshotterAddress is null
            ? ""
            : $"""
               [proxy_plugins.{SnapshotterName}]
                 type = "snapshot"
                 address = "{options.SnapshotterAddress}"
                 [proxy_plugins.{SnapshotterName}.exports]
                   enable_remote_snapshot_annotations = "true"
               [[plugins."io.containerd.transfer.v1.local".unpack_config]]
                 platform = "linux"
                 snapshotter = "overlayfs"
               [[plugins."io.containerd.transfer.v1.local".unpack_config]]
                 platform = "linux"
                 snapshotter = "{SnapshotterName}"
               """;
        string cri = options.Cri is null
            ? ""
            : $"""
               [plugins."io.containerd.grpc.v1.cri"]
                 sandbox_image = "{options.Cri.PauseImage}"
                 restrict_oom_score_adj = true
                 disable_apparmor = true
                 [plugins."io.containerd.grpc.v1.cri".containerd]
                   snapshotter = "{options.Cri.Snapshotter}"
                   disable_snapshot_annotations = {(options.Cri.Annotations ? "false" : "true")}
                   default_runtime_name = "runc"
                   [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
                     runtime_type = "io.containerd.runc.v2"
                 [plugins."io.containerd.grpc.v1.cri".cni]
                   bin_dir = "{Path.Combine(Directory, "cni", "bin")}"
                   conf_dir = "{Path.Combine(Directory, "cni", "conf")}"
               """;
        return $"""
                version = 2
                root = "{Root}"
                state = "{State}"
                disabled_plugins = [{string.Join(", ", disabled)}]
                [grpc]
                  address = "{Address}"
                [debug]
                  level = "info"
                # Collected when a test says so (rm --sync), not when others have changed a hundred things, nor a second after something was deleted (the pause between collections
                # is their average duration divided by this): most snapshots of tests belong to nobody.
                [plugins."io.containerd.gc.v1.scheduler"]
                  mutation_threshold = 1000000
                  pause_threshold = 0.0000001
                [plugins."io.containerd.internal.v1.opt"]
                  path = "{Path.Combine(Directory, "opt")}"
                {proxy}
                {cri}
                """;
    }

    private async Task StartProcessAsync()
    {
        ProcessStartInfo start = new("containerd", ["--config", ConfigPath]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        Process process = Process.Start(start)!;
        _process = process;
        process.OutputDataReceived += Record;
        process.ErrorDataReceived += Record;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();

        long started = Stopwatch.GetTimestamp();
        while (!Answers())
        {
            if (process.HasExited)
            {
                throw new InvalidOperationException($"containerd ended with {process.ExitCode}\n{Log}");
            }

            if (Stopwatch.GetElapsedTime(started) > s_startDeadline)
            {
                throw new TimeoutException($"containerd did not answer within {s_startDeadline}\n{Log}");
            }

            await Task.Delay(10);
        }
    }

    private bool Answers()
    {
        using Socket probe = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(Address));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private void Record(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is not null)
        {
            lock (_log)
            {
                _log.AppendLine(line.Data);
            }
        }
    }

    /// <summary>A shim outlives containerd on purpose. It carries the address of the containerd that started it as an argument, and its containers are its children.</summary>
    private async Task KillShimsAsync()
    {
        List<int> shims = Processes(pid => Arguments(pid) is { } arguments
            && arguments[0].Contains("containerd-shim", StringComparison.Ordinal)
            && Array.IndexOf(arguments, Address) > 0);
        List<int> children = Processes(pid => Parent(pid) is { } parent && shims.Contains(parent));
        List<string> cgroups = [.. children.SelectMany(CgroupDirectories).Distinct(StringComparer.Ordinal)];
        foreach (int pid in shims.Concat(children))
        {
            _ = kill(pid, SigKill);
        }

        long started = Stopwatch.GetTimestamp();
        while (shims.Concat(children).Any(pid => System.IO.Directory.Exists($"/proc/{pid}")) && Stopwatch.GetElapsedTime(started) < s_stopDeadline)
        {
            await Task.Delay(10);
        }

        // runc made one cgroup per container and hierarchy, which only the shim would have removed. rmdir(2) refuses those that somebody else is in.
        foreach (string cgroup in cgroups.Where(System.IO.Directory.Exists))
        {
            try
            {
                System.IO.Directory.Delete(cgroup, recursive: false);
            }
            catch (IOException)
            {
            }
        }
    }

    /// <summary>Lines of /proc/PID/cgroup (cgroups(7)): <c>ID:CONTROLLERS:PATH</c>, the path below the mount point of the hierarchy; no controllers for cgroup2.</summary>
    private static List<string> CgroupDirectories(int pid)
    {
        List<MountEntry> mounts = MountEntry.ReadAll();
        List<string> directories = [];
        foreach (string[] line in (Read($"/proc/{pid}/cgroup") ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(':', 3)))
        {
            string controller = line[1].Split(',')[0];
            MountEntry? mount = mounts.Find(m => controller.Length == 0 ? m.Type == "cgroup2" : m.Type == "cgroup" && m.SuperOptions.Contains(controller));
            if (mount is not null && line[2] != "/")
            {
                directories.Add(mount.Path + line[2]);
            }
        }

        return directories;
    }

    private static List<int> Processes(Func<int, bool> condition) =>
    [
        .. System.IO.Directory.EnumerateDirectories("/proc")
            .Select(directory => int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out int pid) ? pid : 0)
            .Where(pid => pid > 1 && condition(pid)),
    ];

    private static string[]? Arguments(int pid) => Read($"/proc/{pid}/cmdline") is { Length: > 0 } line ? line.Split('\0') : null;

    /// <summary>Field 4 of /proc/PID/stat; field 2, the name, is in parentheses and may hold anything.</summary>
    private static int? Parent(int pid) =>
        Read($"/proc/{pid}/stat") is { Length: > 0 } stat ? int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture) : null;

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return null; // ended in the meantime
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int signal);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int umount2(string target, int flags);
}
