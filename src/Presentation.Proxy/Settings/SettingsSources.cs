using System.Globalization;
using Microsoft.Extensions.Logging;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Settings;

/// <summary>What the command line says; null is "not said".</summary>
internal sealed record CommandLineSettings
{
    public string? Config { get; init; }

    public string? Host { get; init; }

    public string? Port { get; init; }

    public string? LogLevel { get; init; }

    public string? Database { get; init; }

    public string? DataDirectory { get; init; }

    public string? Registry { get; init; }

    public string? StoreLimit { get; init; }
}

/// <summary>Puts the sources together: a flag goes before the environment, that before the file, that before the default. An empty variable counts as not set.</summary>
internal static class SettingsSources
{
    /// <exception cref="FailureException">InvalidInput <c>Config.Malformed</c>, NotFound <c>Config.Missing</c>.</exception>
    public static ProxySettings Resolve(CommandLineSettings flags, Func<string, string?> environment)
    {
        SettingsFile file = SettingsFile.Read(flags.Config ?? Variable("STARLIGHT_PROXY_CONFIG"));
        string dataDirectory = Path.GetFullPath(flags.DataDirectory ?? file.DataDirectory ?? ProxySettings.DefaultDataDirectory);
        string registry = flags.Registry ?? Variable("REGISTRY") ?? file.DefaultRegistry ?? ImageReference.DefaultRegistry;
        if (!ImageReference.Parse($"{registry}/repository", registry).IsSuccess)
        {
            throw Invalid($"'{registry}' is not a registry: write HOST or HOST:PORT");
        }

        int megabytes = file.BundleCacheMegabytes ?? ProxySettings.DefaultBundleCacheMegabytes;
        if (megabytes < 1)
        {
            throw Invalid($"'bundle_cache_mb' must be at least 1, not {megabytes}");
        }

        int graceHours = file.GarbageGraceHours ?? ProxySettings.DefaultGarbageGraceHours;
        if (graceHours < 0)
        {
            throw Invalid($"'gc_grace_hours' must not be negative, not {graceHours}");
        }

        return new ProxySettings
        {
            Host = flags.Host ?? Variable("STARLIGHT_HOST") ?? file.Address ?? ProxySettings.DefaultHost,
            Port = Port(flags.Port ?? Variable("STARLIGHT_PORT") ?? file.Port?.ToString(CultureInfo.InvariantCulture)),
            LogLevel = Level(flags.LogLevel ?? Variable("LOG_LEVEL") ?? file.LogLevel),
            DataDirectory = dataDirectory,
            Database = flags.Database ?? Variable("DB_CONNECTION_STRING") ?? file.Database ?? Path.Combine(dataDirectory, "catalog.db"),
            Registries = new RegistryNames(registry, file.DefaultRegistryAliases ?? []),
            BundleCacheBytes = (long)megabytes << 20,
            GarbageGrace = TimeSpan.FromHours(graceHours),
            StoreLimitBytes = StoreLimit.Parse(flags.StoreLimit ?? Variable("STARLIGHT_STORE_LIMIT") ?? file.StoreLimit ?? ProxySettings.DefaultStoreLimit, dataDirectory),
            Notes = file.HasCacheTimeout ? ["cache_timeout in the configuration file has no effect any more: remove it"] : [],
        };

        string? Variable(string name) => environment(name) is { Length: > 0 } value ? value : null;
    }

    /// <summary>0 lets the system choose, which tests use.</summary>
    private static int Port(string? text)
    {
        if (text is null)
        {
            return ProxySettings.DefaultPort;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port <= ushort.MaxValue ? port : throw Invalid($"'{text}' is not a port: write a number from 1 to 65535");
    }

    private static LogLevel Level(string? text) => text?.ToLowerInvariant() switch
    {
        null or "info" or "information" => LogLevel.Information,
        "trace" => LogLevel.Trace,
        "debug" => LogLevel.Debug,
        "warn" or "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        "fatal" or "critical" or "panic" => LogLevel.Critical,
        _ => throw Invalid($"'{text}' is not a log level: write trace, debug, info, warn, error or fatal"),
    };

    private static FailureException Invalid(string message) => new(new Error("Config.Malformed", message, ErrorKind.InvalidInput));
}
