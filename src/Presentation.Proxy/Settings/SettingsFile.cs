using System.Text.Json;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Scanning;

namespace Starlight.Presentation.Proxy.Settings;

/// <summary>
/// The JSON configuration file. Its keys are those of earlier versions and some more; what is not set is null. A key that is not known is an error,
/// because a setting that is silently ignored is worse than a proxy that does not start.
/// </summary>
internal sealed record SettingsFile
{
    /// <summary>Used when no other file is named; it need not exist.</summary>
    public const string DefaultPath = "/etc/starlight/starlight-proxy.json";

    private static readonly JsonDocumentOptions Json = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    private static readonly Dictionary<string, Func<SettingsFile, JsonElement, SettingsFile>> Keys = new(StringComparer.Ordinal)
    {
        ["address"] = static (file, value) => file with { Address = Text(value) },
        ["port"] = static (file, value) => file with { Port = Number(value) },
        ["log_level"] = static (file, value) => file with { LogLevel = Text(value) },
        ["postgres"] = static (file, value) => file with { Database = Text(value) },
        ["data_dir"] = static (file, value) => file with { DataDirectory = Text(value) },
        ["default_registry"] = static (file, value) => file with { DefaultRegistry = Text(value) },
        ["default_registry_alias"] = static (file, value) => file with { DefaultRegistryAliases = [.. List(value).Select(Text)] },
        ["gc_grace_hours"] = static (file, value) => file with { GarbageGraceHours = Number(value) },
        ["store_limit"] = static (file, value) => file with { StoreLimit = Text(value) },
        ["bundle_cache_mb"] = static (file, value) => file with { BundleCacheMegabytes = Number(value) },
        ["prepare_bundles"] = static (file, value) => file with { PreparedBundles = Number(value) },
        ["prepare_after_seconds"] = static (file, value) => file with { PreparationRest = Number(value) },
        ["accounts"] = static (file, value) => file with { Accounts = Text(value) },
        ["tls_certificate"] = static (file, value) => file with { TlsCertificate = Text(value) },
        ["tls_key"] = static (file, value) => file with { TlsKey = Text(value) },
        ["rate_limit"] = static (file, value) => file with { RateLimit = Number(value) },
        ["rate_burst"] = static (file, value) => file with { RateBurst = Number(value) },
        ["concurrent_limit"] = static (file, value) => file with { ConcurrentLimit = Number(value) },
        ["registries"] = static (file, value) => file with { Registries = RegistrySettings.Parse(value) },
        ["registry_logins"] = static (file, value) => file with { RegistryLogins = [.. List(value).Select(Text)] },
        ["log_format"] = static (file, value) => file with { LogFormat = Text(value) },
        ["shutdown_timeout"] = static (file, value) => file with { ShutdownTimeout = Number(value) },
        ["congestion_control"] = static (file, value) => file with { CongestionControl = Text(value) },
        ["scanner"] = static (file, value) => file with { Scanner = ScannerSettings.Parse(value) },

        // Of earlier versions: the cache it timed has no successor that ages.
        ["cache_timeout"] = static (file, _) => file with { HasCacheTimeout = true },
    };

    public string? Address { get; private init; }

    public int? Port { get; private init; }

    public string? LogLevel { get; private init; }

    public string? Database { get; private init; }

    public string? DataDirectory { get; private init; }

    public string? DefaultRegistry { get; private init; }

    public IReadOnlyList<string>? DefaultRegistryAliases { get; private init; }

    public int? BundleCacheMegabytes { get; private init; }

    public string? StoreLimit { get; private init; }

    public int? PreparedBundles { get; private init; }

    /// <summary>Seconds.</summary>
    public int? PreparationRest { get; private init; }

    public int? GarbageGraceHours { get; private init; }

    public string? Accounts { get; private init; }

    public string? TlsCertificate { get; private init; }

    public string? TlsKey { get; private init; }

    public int? RateLimit { get; private init; }

    public int? RateBurst { get; private init; }

    public int? ConcurrentLimit { get; private init; }

    /// <summary>By host.</summary>
    public IReadOnlyDictionary<string, RegistrySettings> Registries { get; private init; } = new Dictionary<string, RegistrySettings>(StringComparer.Ordinal);

    public IReadOnlyList<string> RegistryLogins { get; private init; } = [];

    public string? LogFormat { get; private init; }

    /// <summary>Seconds.</summary>
    public int? ShutdownTimeout { get; private init; }

    public string? CongestionControl { get; private init; }

    public ScannerSettings? Scanner { get; private init; }

    public bool HasCacheTimeout { get; private init; }

    /// <param name="path">The file that the user named, or null for the default one.</param>
    /// <exception cref="FailureException">InvalidInput <c>Config.Malformed</c>, NotFound <c>Config.Missing</c>.</exception>
    public static SettingsFile Read(string? path)
    {
        if (path is null && !File.Exists(DefaultPath))
        {
            return new SettingsFile();
        }

        string name = path ?? DefaultPath;
        try
        {
            return Parse(name, File.ReadAllBytes(name));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(new Error("Config.Missing", $"the configuration file {name} cannot be read: {e.Message}", ErrorKind.NotFound), e);
        }
    }

    internal static SettingsFile Parse(string name, ReadOnlyMemory<byte> json)
    {
        try
        {
            // Some editors put a byte order mark in front, which JSON does not allow (RFC 8259 section 8.1) but readers may ignore.
            ReadOnlyMemory<byte> text = json.Span.StartsWith("\uFEFF"u8) ? json[3..] : json;
            using JsonDocument document = JsonDocument.Parse(text, Json);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw Malformed(name, "it is not a JSON object");
            }

            SettingsFile file = new();
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (!Keys.TryGetValue(property.Name, out Func<SettingsFile, JsonElement, SettingsFile>? apply))
                {
                    throw Malformed(name, $"it has no key '{property.Name}'; the keys are {string.Join(", ", Keys.Keys.Where(k => k != "cache_timeout"))}");
                }

                try
                {
                    file = apply(file, property.Value);
                }
                catch (FormatException e)
                {
                    throw Malformed(name, $"'{property.Name}' {e.Message}");
                }
            }

            return file;
        }
        catch (JsonException e)
        {
            throw Malformed(name, $"it is not JSON: {e.Message}");
        }
    }

    private static FailureException Malformed(string name, string why) =>
        new(new Error("Config.Malformed", $"the configuration file {name} cannot be used: {why}", ErrorKind.InvalidInput));

    private static string Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new FormatException($"must be a string, not {value.GetRawText()}");

    private static int Number(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number : throw new FormatException($"must be a whole number, not {value.GetRawText()}");

    private static JsonElement.ArrayEnumerator List(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw new FormatException($"must be a list, not {value.GetRawText()}");
}
