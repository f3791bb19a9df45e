using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Transport;

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

    public string? Accounts { get; init; }

    public string? TlsCertificate { get; init; }

    public string? TlsKey { get; init; }

    public string? LogFormat { get; init; }
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

        int megabytes = AtLeast(1, "bundle_cache_mb", file.BundleCacheMegabytes ?? ProxySettings.DefaultBundleCacheMegabytes);
        string host = flags.Host ?? Variable("STARLIGHT_HOST") ?? file.Address ?? ProxySettings.DefaultHost;
        return new ProxySettings
        {
            Host = host,
            Port = Port(flags.Port ?? Variable("STARLIGHT_PORT") ?? file.Port?.ToString(CultureInfo.InvariantCulture)),
            LogLevel = Level(flags.LogLevel ?? Variable("LOG_LEVEL") ?? file.LogLevel),
            DataDirectory = dataDirectory,
            Database = flags.Database ?? Variable("DB_CONNECTION_STRING") ?? file.Database ?? Path.Combine(dataDirectory, "catalog.db"),
            Registries = new RegistryNames(registry, file.DefaultRegistryAliases ?? []),
            RegistryAccess = RegistryAccess(registry, file, environment),
            BundleCacheBytes = (long)megabytes << 20,
            GarbageGrace = TimeSpan.FromHours(AtLeast(0, "gc_grace_hours", file.GarbageGraceHours ?? ProxySettings.DefaultGarbageGraceHours)),
            StoreLimitBytes = StoreLimit.Parse(flags.StoreLimit ?? Variable("STARLIGHT_STORE_LIMIT") ?? file.StoreLimit ?? ProxySettings.DefaultStoreLimit, dataDirectory),
            PreparedBundles = AtLeast(0, "prepare_bundles", file.PreparedBundles ?? ProxySettings.DefaultPreparedBundles),
            PreparationRest = TimeSpan.FromSeconds(AtMost(86_400, "prepare_after_seconds", AtLeast(0, "prepare_after_seconds", file.PreparationRest ?? ProxySettings.DefaultPreparationRestSeconds))),
            AccountsPath = AccountsPath(flags, file, environment),
            Tls = Tls(flags.TlsCertificate ?? Variable("STARLIGHT_TLS_CERT") ?? file.TlsCertificate, flags.TlsKey ?? Variable("STARLIGHT_TLS_KEY") ?? file.TlsKey),
            Limits = new ClientLimits(
                AtLeast(0, "rate_limit", file.RateLimit ?? ClientLimits.Default.RequestsPerSecond),
                AtLeast(1, "rate_burst", file.RateBurst ?? ClientLimits.Default.Burst),
                AtLeast(0, "concurrent_limit", file.ConcurrentLimit ?? ClientLimits.Default.Concurrent)),
            LogFormat = Format(flags.LogFormat ?? Variable("LOG_FORMAT") ?? file.LogFormat),
            ExportsTraces = (Variable("OTEL_EXPORTER_OTLP_ENDPOINT") ?? Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) is not null,
            ShutdownTimeout = TimeSpan.FromSeconds(AtLeast(0, "shutdown_timeout", file.ShutdownTimeout ?? ProxySettings.DefaultShutdownSeconds)),
            CongestionControl = CongestionControlName(Variable("STARLIGHT_CONGESTION_CONTROL") ?? file.CongestionControl ?? CongestionControl.Default),
            Scanner = file.Scanner?.Checked(Variable("STARLIGHT_SCANNER_SECRET"), IsLoopback(host)),
            Notes = file.HasCacheTimeout ? ["cache_timeout in the configuration file has no effect any more: remove it"] : [],
        };

        string? Variable(string name) => SettingsSources.Variable(environment, name);
    }

    /// <summary>Just the accounts file and the default registry, for the commands that edit accounts beside a running proxy.</summary>
    public static (string? Path, string DefaultRegistry) Accounts(CommandLineSettings flags, Func<string, string?> environment)
    {
        SettingsFile file = SettingsFile.Read(flags.Config ?? Variable(environment, "STARLIGHT_PROXY_CONFIG"));
        return (AccountsPath(flags, file, environment), Variable(environment, "REGISTRY") ?? file.DefaultRegistry ?? ImageReference.DefaultRegistry);
    }

    private static string? Variable(Func<string, string?> environment, string name) => environment(name) is { Length: > 0 } value ? value : null;

    private static string? AccountsPath(CommandLineSettings flags, SettingsFile file, Func<string, string?> environment) =>
        (flags.Accounts ?? Variable(environment, "STARLIGHT_ACCOUNTS") ?? file.Accounts) is { Length: > 0 } path ? Path.GetFullPath(path) : null;

    /// <summary>A login in the environment is the default registry's: it has room for one.</summary>
    private static RegistryOptions RegistryAccess(string defaultRegistry, SettingsFile file, Func<string, string?> environment)
    {
        Dictionary<string, RegistryCredential> credentials = file.Registries.Where(r => r.Value.Username is not null)
            .ToDictionary(r => r.Key, r => new RegistryCredential(r.Value.Username!, r.Value.Password!), StringComparer.Ordinal);
        switch (Variable(environment, "STARLIGHT_REGISTRY_USERNAME"), Variable(environment, "STARLIGHT_REGISTRY_PASSWORD"))
        {
            case ({ } username, { } password):
                credentials[defaultRegistry] = new RegistryCredential(username, password);
                break;
            case (null, null):
                break;
            default:
                throw Invalid("STARLIGHT_REGISTRY_USERNAME and STARLIGHT_REGISTRY_PASSWORD go together: set both or neither");
        }

        return new RegistryOptions
        {
            DefaultRegistry = defaultRegistry,
            Credentials = credentials,
            SecretDirectories = file.Registries.Where(r => r.Value.Secret is not null).ToDictionary(r => r.Key, r => r.Value.Secret!, StringComparer.Ordinal),
            LoginFiles = file.RegistryLogins,
            LoginText = Variable(environment, "DOCKER_AUTH_CONFIG"),
            Mirrors = file.Registries.Where(r => r.Value.Mirrors.Count > 0).ToDictionary(r => r.Key, r => r.Value.Mirrors, StringComparer.Ordinal),
        };
    }

    private static TlsFiles? Tls(string? certificate, string? key) => (certificate, key) switch
    {
        (null, null) => null,
        (not null, not null) => new TlsFiles(Path.GetFullPath(certificate), Path.GetFullPath(key)),
        _ => throw Invalid("TLS needs both a certificate and its key: name two PEM files with --tls-cert and --tls-key"),
    };

    private static LogFormat Format(string? text) => text switch
    {
        null or "text" => LogFormat.Text,
        "json" => LogFormat.Json,
        _ => throw Invalid($"'{text}' is not a log format: write text or json"),
    };

    private static string CongestionControlName(string name) => CongestionControl.IsName(name)
        ? name
        : throw Invalid($"'{name}' is not the name of a congestion control: write one of net.ipv4.tcp_available_congestion_control, or {CongestionControl.System} for the kernel's default");

    private static int AtLeast(int least, string key, int value) => value >= least ? value : throw Invalid($"'{key}' must be at least {least}, not {value}");

    private static int AtMost(int most, string key, int value) => value <= most ? value : throw Invalid($"'{key}' must be at most {most}, not {value}");

    /// <summary>By name only: what merely resolves there may resolve elsewhere tomorrow.</summary>
    private static bool IsLoopback(string host) => host == "localhost" || (IPAddress.TryParse(host, out IPAddress? address) && IPAddress.IsLoopback(address));

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
