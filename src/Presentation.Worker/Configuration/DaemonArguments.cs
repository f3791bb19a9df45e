using System.CommandLine;
using System.Globalization;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.ProxyClient;

namespace Starlight.Presentation.Worker.Configuration;

/// <summary>The daemon's command line. Precedence: flag, environment, configuration file, default.</summary>
internal sealed class DaemonArguments
{
    private readonly Option<string> _config = new("--config", "-c") { Description = $"configuration file; created if missing [env STARLIGHT_DAEMON_CONFIG; default {DaemonSettings.DefaultConfigPath}]" };
    private readonly Option<string> _logLevel = new("--log-level", "-l") { Description = "trace, debug, info, warn, error [env LOG_LEVEL; default info]" };
    private readonly Option<string> _metadata = new("--metadata", "-m") { Description = "database of the snapshots [default FS_ROOT/metadata.db]" };
    private readonly Option<string> _socket = new("--socket") { Description = $"socket for containerd [default {DaemonSettings.DefaultSnapshotterSocket}]" };
    private readonly Option<string> _daemon = new("--daemon") { Description = $"socket for ctr-starlight [default {DaemonSettings.DefaultDaemonSocket}]" };
    private readonly Option<string> _containerd = new("--containerd") { Description = $"containerd's socket [default {DaemonSettings.DefaultContainerdSocket}]" };
    private readonly Option<string> _namespace = new("--default-namespace") { Description = "containerd namespace of pulls that name none [default default]" };
    private readonly Option<string> _defaultProxy = new("--default", "-d") { Description = "proxy profile of commands that name none" };
    private readonly Option<string> _fsRoot = new("--fs-root", "--fs") { Description = $"objects, filesystem images and snapshots [default {DaemonSettings.DefaultFsRoot}]" };
    private readonly Option<string> _id = new("--id") { Description = "name of this worker in the proxy's logs [default: a random UUID, kept in the configuration]" };
    private readonly Option<string> _mountMode = new("--mount-mode") { Description = "auto, single-overlay, nested-overlay or directory-tree [env STARLIGHT_MOUNT_MODE; default auto: the best that works]" };
    private readonly Option<string> _erofs = new("--erofs") { Description = "auto, file or loop: what carries filesystem images [env STARLIGHT_EROFS; default auto]" };
    private readonly Option<string> _earlyStart = new("--early-start") { Description = "auto, on or off: containers start while content is arriving [env STARLIGHT_EARLY_START; default auto: where it works]" };
    private readonly Option<string> _reportStalls = new("--report-stalls") { Description = "on or off: what containers open while they wait for their image is reported to the proxy, which then sends that first [env STARLIGHT_REPORT_STALLS; default on]" };
    private readonly Option<string[]> _proxy = new("--proxy", "-p") { Description = "name,protocol,address[,user,password]; may be repeated; never written to the configuration", AllowMultipleArgumentsPerToken = false };

    private readonly Option<string> _proxyCa = new("--proxy-ca") { Description = "PEM file of the certificate authorities of https proxies whose profile names none [env STARLIGHT_PROXY_CA; default: those that the machine trusts]" };
    private readonly Option<string> _proxyConnections = new("--proxy-connections") { Description = "connections to the default proxy that are kept open and warm, so that a pull over a long line begins at full speed; 0 for none [env STARLIGHT_PROXY_CONNECTIONS; default 3]" };
    private readonly Option<string> _proxyStripes = new("--proxy-stripes") { Description = "connections over which a pull comes while none is warm yet, on long lines; 0 for one [env STARLIGHT_PROXY_STRIPES; default 12]" };

    public RootCommand Build(Func<DaemonSettings, DaemonConfigFile, CancellationToken, Task<int>> run)
    {
        RootCommand root = new("Starlight's worker daemon: containerd snapshotter, object store and pulls.")
        {
            _config, _logLevel, _metadata, _socket, _daemon, _containerd, _namespace, _defaultProxy, _fsRoot, _id, _mountMode, _erofs, _earlyStart, _reportStalls, _proxy, _proxyCa, _proxyConnections, _proxyStripes,
        };
        root.SetAction(async (parse, cancellationToken) =>
        {
            try
            {
                (DaemonSettings settings, DaemonConfigFile file) = Resolve(parse);
                return await run(settings, file, cancellationToken);
            }
            catch (FailureException e)
            {
                await Console.Error.WriteLineAsync($"starlight-daemon: {e.Error.Message}");
                return 1;
            }
        });
        return root;
    }

    private (DaemonSettings Settings, DaemonConfigFile File) Resolve(ParseResult parse)
    {
        string path = parse.GetValue(_config) ?? Environment.GetEnvironmentVariable("STARLIGHT_DAEMON_CONFIG") ?? DaemonSettings.DefaultConfigPath;
        DaemonConfigFile config = DaemonConfigFile.Open(path, [.. (parse.GetValue(_proxy) ?? []).Select(ParseProxy)], parse.GetValue(_defaultProxy), parse.GetValue(_proxyCa) ?? Environment.GetEnvironmentVariable("STARLIGHT_PROXY_CA"));
        DaemonFile file = config.File;
        if (file.DaemonType is not (null or "unix"))
        {
            throw new FailureException(new Error("Config.Malformed", $"{path}: daemon_type '{file.DaemonType}' is not supported: use unix", ErrorKind.InvalidInput));
        }

        string fsRoot = Path.GetFullPath(parse.GetValue(_fsRoot) ?? file.FsRoot ?? DaemonSettings.DefaultFsRoot);
        return (new DaemonSettings
        {
            ConfigPath = path,
            LogLevel = parse.GetValue(_logLevel) ?? Environment.GetEnvironmentVariable("LOG_LEVEL") ?? file.LogLevel ?? "info",
            Id = ParseId(parse.GetValue(_id) ?? file.Id ?? Environment.MachineName),
            MetadataPath = Path.GetFullPath(parse.GetValue(_metadata) ?? file.Metadata ?? Path.Combine(fsRoot, "metadata.db")),
            SnapshotterSocket = Path.GetFullPath(parse.GetValue(_socket) ?? file.Socket ?? DaemonSettings.DefaultSnapshotterSocket),
            DaemonSocket = Path.GetFullPath(parse.GetValue(_daemon) ?? file.Daemon ?? DaemonSettings.DefaultDaemonSocket),
            ContainerdSocket = Path.GetFullPath(parse.GetValue(_containerd) ?? file.Containerd ?? DaemonSettings.DefaultContainerdSocket),
            DefaultNamespace = parse.GetValue(_namespace) ?? file.DefaultNamespace ?? "default",
            FsRoot = fsRoot,
            ReportStalls = OnOff(parse.GetValue(_reportStalls) ?? Environment.GetEnvironmentVariable("STARLIGHT_REPORT_STALLS")) ?? file.ReportStalls ?? true,
            ProxyConnections = ParseConnections(
                parse.GetValue(_proxyConnections) ?? Environment.GetEnvironmentVariable("STARLIGHT_PROXY_CONNECTIONS") ?? file.ProxyConnections?.ToString(CultureInfo.InvariantCulture), "connections to keep", WarmConnections.MaxCount) ?? WarmConnections.DefaultCount,
            ProxyStripes = ParseConnections(
                parse.GetValue(_proxyStripes) ?? Environment.GetEnvironmentVariable("STARLIGHT_PROXY_STRIPES") ?? file.ProxyStripes?.ToString(CultureInfo.InvariantCulture), "connections for one pull", StarlightProxyClient.MaxStripes) ?? StarlightProxyClient.DefaultStripes,
            Mounts = MountPreferences.Parse(
                parse.GetValue(_mountMode) ?? Environment.GetEnvironmentVariable("STARLIGHT_MOUNT_MODE") ?? file.MountMode,
                parse.GetValue(_erofs) ?? Environment.GetEnvironmentVariable("STARLIGHT_EROFS") ?? file.Erofs,
                parse.GetValue(_earlyStart) ?? Environment.GetEnvironmentVariable("STARLIGHT_EARLY_START") ?? file.EarlyStart).Value,
        }, config);
    }

    private static bool? OnOff(string? text) => text switch
    {
        null => null,
        "on" => true,
        "off" => false,
        _ => throw new FailureException(new Error("Config.Malformed", $"report_stalls '{text}': write on or off", ErrorKind.InvalidInput)),
    };

    private static string ParseId(string text) => WorkerName.IsAcceptable(text)
        ? text
        : throw new FailureException(new Error("Config.Id", $"'{text}' cannot be this worker's name: use up to {WorkerName.MaxLength} printable ASCII characters without spaces and quotes", ErrorKind.InvalidInput));

    private static int? ParseConnections(string? text, string what, int most) => string.IsNullOrEmpty(text)
        ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count <= most
            ? count
            : throw new FailureException(new Error("Config.Malformed", $"'{text}' is not a number of {what}: write 0 to {most}", ErrorKind.InvalidInput));

    /// <summary><c>name,protocol,address[,user[,password]]</c>: the password is all the rest, so it may hold commas.</summary>
    internal static ProxyProfile ParseProxy(string text)
    {
        string[] parts = text.Split(',', 5);
        if (parts.Length < 3)
        {
            throw new FailureException(new Error("Proxy.ProfileInvalid", $"--proxy '{text}': write name,protocol,address or name,protocol,address,user,password", ErrorKind.InvalidInput));
        }

        return ProxyProfile.Create(parts[0], parts[1], parts[2], parts.ElementAtOrDefault(3), parts.ElementAtOrDefault(4)).Value;
    }
}
