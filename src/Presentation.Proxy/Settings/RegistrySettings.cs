using System.Text.Json;
using Starlight.Domain.References;

namespace Starlight.Presentation.Proxy.Settings;

/// <summary>
/// One registry of the key <c>registries</c>: <c>{ "registry.example.com": { "username": …, "password": … | "secret": DIRECTORY, "mirrors": [HOST, …] } }</c>.
/// </summary>
internal sealed record RegistrySettings
{
    private static readonly string[] Keys = ["username", "password", "secret", "mirrors"];

    public string? Username { get; private init; }

    public string? Password { get; private init; }

    /// <summary>Directory with the files <c>username</c> and <c>password</c>.</summary>
    public string? Secret { get; private init; }

    public IReadOnlyList<string> Mirrors { get; private init; } = [];

    /// <exception cref="FormatException">Continues "'registries' …".</exception>
    public static IReadOnlyDictionary<string, RegistrySettings> Parse(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw new FormatException($"must be an object of registry hosts, not {value.ValueKind}");
        }

        Dictionary<string, RegistrySettings> registries = new(StringComparer.Ordinal);
        foreach (JsonProperty host in value.EnumerateObject())
        {
            CheckHost(host.Name);
            registries[host.Name] = ParseOne(host.Name, host.Value);
        }

        return registries;
    }

    /// <summary>Messages never quote values: one of them is a password.</summary>
    private static RegistrySettings ParseOne(string host, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw new FormatException($"has for {host} something else than an object");
        }

        if (value.EnumerateObject().Select(p => p.Name).FirstOrDefault(name => !Keys.Contains(name)) is { } unknown)
        {
            throw new FormatException($"has for {host} the key '{unknown}'; there are {string.Join(", ", Keys)}");
        }

        RegistrySettings settings = new()
        {
            Username = Text(host, value, "username"),
            Password = Text(host, value, "password"),
            Secret = Text(host, value, "secret"),
            Mirrors = value.TryGetProperty("mirrors", out JsonElement mirrors) ? [.. List(host, mirrors)] : [],
        };
        if (settings.Username is null != settings.Password is null || (settings.Username is not null && settings.Secret is not null))
        {
            throw new FormatException($"must have for {host} username and password, or secret, or neither");
        }

        return settings;
    }

    private static IEnumerable<string> List(string host, JsonElement mirrors)
    {
        foreach (JsonElement mirror in mirrors.ValueKind == JsonValueKind.Array ? mirrors.EnumerateArray() : throw new FormatException($"must have for {host} a list of mirrors"))
        {
            string text = mirror.ValueKind == JsonValueKind.String ? mirror.GetString()! : throw new FormatException($"has for {host} a mirror that is not a string");
            CheckHost(text.StartsWith("http://", StringComparison.Ordinal) ? text["http://".Length..].TrimEnd('/') : text);
            yield return text;
        }
    }

    private static string? Text(string host, JsonElement value, string key) => !value.TryGetProperty(key, out JsonElement text) ? null
        : text.ValueKind == JsonValueKind.String ? text.GetString()
        : throw new FormatException($"must have for {host} a string as '{key}'");

    private static void CheckHost(string host)
    {
        if (ImageReference.Parse("repository", host) is not { IsSuccess: true } || host.Contains('/', StringComparison.Ordinal))
        {
            throw new FormatException($"names '{host}', which is not a registry: write HOST or HOST:PORT");
        }
    }
}
