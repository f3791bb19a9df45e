using Microsoft.Extensions.Logging;
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

    public required string Host { get; init; }

    public required int Port { get; init; }

    public required LogLevel LogLevel { get; init; }

    /// <summary>Contents, bundles and, unless a database is named, the catalog.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>A Postgres or SQLite connection string.</summary>
    public required string Database { get; init; }

    public required RegistryNames Registries { get; init; }

    public required long BundleCacheBytes { get; init; }

    /// <summary>Null: webhooks are refused.</summary>
    public ScannerSettings? Scanner { get; init; }

    /// <summary>Things to tell the operator once the log is up.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
