using System.Text.Json.Serialization;
using Starlight.Infrastructure.Mounts;

namespace Starlight.Presentation.Worker.Configuration;

/// <summary>
/// The daemon's configuration file (default <c>/etc/starlight/starlight-daemon.json</c>), with the keys that users of the original know. Null means "not set": flags and environment win over
/// the file, the file over the defaults.
/// </summary>
internal sealed record DaemonFile
{
    [JsonPropertyName("log_level")]
    public string? LogLevel { get; init; }

    /// <summary>Name of this worker in the proxy's logs; a random UUID is written at the first start.</summary>
    [JsonPropertyName("id")]
    public string? Id { get; init; }

    [JsonPropertyName("metadata")]
    public string? Metadata { get; init; }

    [JsonPropertyName("socket")]
    public string? Socket { get; init; }

    [JsonPropertyName("daemon_type")]
    public string? DaemonType { get; init; }

    [JsonPropertyName("daemon")]
    public string? Daemon { get; init; }

    [JsonPropertyName("containerd")]
    public string? Containerd { get; init; }

    [JsonPropertyName("default_namespace")]
    public string? DefaultNamespace { get; init; }

    [JsonPropertyName("default_proxy")]
    public string? DefaultProxy { get; init; }

    [JsonPropertyName("fs_root")]
    public string? FsRoot { get; init; }

    [JsonPropertyName("mount_mode")]
    public string? MountMode { get; init; }

    [JsonPropertyName("erofs")]
    public string? Erofs { get; init; }

    [JsonPropertyName("early_start")]
    public string? EarlyStart { get; init; }

    /// <summary>False: what containers open while they wait for their image is not reported.</summary>
    [JsonPropertyName("report_stalls")]
    public bool? ReportStalls { get; init; }

    /// <summary>PEM file of the certificate authorities of every proxy that has no <c>ca_file</c> of its own.</summary>
    [JsonPropertyName("proxy_ca")]
    public string? ProxyCa { get; init; }

    [JsonPropertyName("proxy_connections")]
    public int? ProxyConnections { get; init; }

    [JsonPropertyName("proxy_stripes")]
    public int? ProxyStripes { get; init; }

    [JsonPropertyName("configs")]
    public Dictionary<string, ProxyEntry>? Configs { get; init; }

    /// <summary>Keys of other versions: kept when the file is rewritten.</summary>
    [JsonExtensionData]
    public Dictionary<string, System.Text.Json.JsonElement>? Others { get; set; }
}

/// <summary>One proxy profile in the file.</summary>
internal sealed record ProxyEntry
{
    [JsonPropertyName("protocol")]
    public string Protocol { get; init; } = "https";

    [JsonPropertyName("address")]
    public string Address { get; init; } = "";

    [JsonPropertyName("username")]
    public string? Username { get; init; }

    [JsonPropertyName("password")]
    public string? Password { get; init; }

    [JsonPropertyName("token")]
    public string? Token { get; init; }

    /// <summary>PEM file of the only certificate authorities to trust.</summary>
    [JsonPropertyName("ca_file")]
    public string? CaFile { get; init; }
}

[JsonSerializable(typeof(DaemonFile))]
[JsonSourceGenerationOptions(WriteIndented = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, ReadCommentHandling = System.Text.Json.JsonCommentHandling.Skip, AllowTrailingCommas = true)]
internal sealed partial class DaemonFileJson : JsonSerializerContext;

/// <summary>What the daemon runs with: flags, environment, file and defaults merged.</summary>
internal sealed record DaemonSettings
{
    public const string DefaultConfigPath = "/etc/starlight/starlight-daemon.json";
    public const string DefaultFsRoot = "/var/lib/starlight";
    public const string DefaultSnapshotterSocket = "/run/starlight/starlight-snapshotter.sock";
    public const string DefaultDaemonSocket = "/run/starlight/starlight-daemon.sock";
    public const string DefaultContainerdSocket = "/run/containerd/containerd.sock";

    public required string ConfigPath { get; init; }

    public required string LogLevel { get; init; }

    public required string Id { get; init; }

    /// <summary>SQLite database of the snapshots.</summary>
    public required string MetadataPath { get; init; }

    /// <summary>Where containerd reaches the snapshotter.</summary>
    public required string SnapshotterSocket { get; init; }

    /// <summary>Where <c>ctr-starlight</c> reaches the daemon.</summary>
    public required string DaemonSocket { get; init; }

    public required string ContainerdSocket { get; init; }

    public required string DefaultNamespace { get; init; }

    /// <summary>Objects, filesystem images, snapshots, the gate's mount point.</summary>
    public required string FsRoot { get; init; }

    /// <summary>Containers that wait for their image are traced, and what they open is reported.</summary>
    public required bool ReportStalls { get; init; }

    /// <summary>Connections to the default proxy that are kept warm; 0 for none.</summary>
    public required int ProxyConnections { get; init; }

    /// <summary>Connections over which a bundle comes while none is warm; 0 or 1: always over one.</summary>
    public required int ProxyStripes { get; init; }

    /// <summary>How containers are to be mounted.</summary>
    public required MountPreferences Mounts { get; init; }
}
