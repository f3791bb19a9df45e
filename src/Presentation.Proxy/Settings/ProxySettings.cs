using Microsoft.Extensions.Logging;
using Starlight.Infrastructure.Registry;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Scanning;

namespace Starlight.Presentation.Proxy.Settings;

/// <summary>Everything that can be set, after flags, environment and file have been put together.</summary>
internal sealed record ProxySettings
{
    public const int DefaultPort = 8090;
    public const string DefaultHost = "0.0.0.0";
    public const string DefaultDataDirectory = "/var/lib/starlight-proxy";

    /// <summary>In MiB: some hundreds of bundles of ordinary images.</summary>
    public const int DefaultBundleCacheMegabytes = 10 * 1024;

    /// <summary>Half of the disk: bundles, the catalog and others need room, too.</summary>
    public const string DefaultStoreLimit = "50%";

    /// <summary>Of the versions that most workers have. A fleet that is being updated has two or three.</summary>
    public const int DefaultPreparedBundles = 3;

    /// <summary>A deployment starts its containers within a minute or two, and they report within another. Arbitrary.</summary>
    public const int DefaultPreparationRestSeconds = 120;

    /// <summary>A week: fleets update within it, and updates are made from what workers have.</summary>
    public const int DefaultGarbageGraceHours = 7 * 24;

    /// <summary>What container platforms wait before they kill (Kubernetes: terminationGracePeriodSeconds).</summary>
    public const int DefaultShutdownSeconds = 30;

    public required string Host { get; init; }

    public required int Port { get; init; }

    public required LogLevel LogLevel { get; init; }

    /// <summary>Contents, bundles and, unless a database is named, the catalog.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>A Postgres or SQLite connection string.</summary>
    public required string Database { get; init; }

    public required RegistryNames Registries { get; init; }

    /// <summary>Logins and mirrors of registries.</summary>
    public RegistryOptions RegistryAccess { get; init; } = new();

    public required long BundleCacheBytes { get; init; }

    /// <summary>Bytes that contents may take on disk.</summary>
    public required long StoreLimitBytes { get; init; }

    /// <summary>Bundles built for a notified image before workers ask for them; 0: none.</summary>
    public required int PreparedBundles { get; init; }

    /// <summary>They are built again when reports have not changed the image's order for so long.</summary>
    public required TimeSpan PreparationRest { get; init; }

    /// <summary>How long images that no tag names and nobody asks for are kept.</summary>
    public required TimeSpan GarbageGrace { get; init; }

    /// <summary>The accounts file; null: everybody may do everything.</summary>
    public string? AccountsPath { get; init; }

    /// <summary>PEM files; null: plain HTTP.</summary>
    public TlsFiles? Tls { get; init; }

    public ClientLimits Limits { get; init; } = ClientLimits.Default;

    public LogFormat LogFormat { get; init; }

    /// <summary>An OpenTelemetry collector is named by OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT.</summary>
    public bool ExportsTraces { get; init; }

    /// <summary>Running answers get so long to finish when the proxy is told to stop; clients resume what was cut off.</summary>
    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(DefaultShutdownSeconds);

    /// <summary>What the kernel sends answers with; see <see cref="Transport.CongestionControl"/>.</summary>
    public string CongestionControl { get; init; } = Transport.CongestionControl.Default;

    /// <summary>Null: webhooks are refused.</summary>
    public ScannerSettings? Scanner { get; init; }

    /// <summary>Things to tell the operator once the log is up.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

internal sealed record TlsFiles(string Certificate, string Key);

internal enum LogFormat
{
    /// <summary>One line of text per entry, for people.</summary>
    Text,

    /// <summary>One JSON object per line, for programs.</summary>
    Json,
}
