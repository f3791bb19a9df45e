using System.Text.Json;
using Starlight.Application.Scanner;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Scanning;

/// <summary>The key <c>scanner</c> of the configuration file (docs/webhooks.md). Messages continue "'scanner' …".</summary>
internal sealed record ScannerSettings
{
    /// <summary>One job keeps a core or two busy; more only help with a registry that is far away.</summary>
    private const int MaxParallel = 16;

    private static readonly string[] RuleKeys = ["source", "destination", "action", "platforms"];

    /// <summary>In the file; the environment's goes before it.</summary>
    public string? Secret { get; init; }

    public IReadOnlyList<ScanRule> Rules { get; private init; } = [];

    public IReadOnlyList<string> Registries { get; private init; } = [];

    public IReadOnlyList<string> InsecureRegistries { get; private init; } = [];

    public int Parallel { get; private init; } = 1;

    /// <exception cref="FormatException">Says what is wrong.</exception>
    public static ScannerSettings Parse(JsonElement json)
    {
        ScannerSettings settings = new();
        foreach (JsonProperty property in Object(json, "").EnumerateObject())
        {
            JsonElement value = property.Value;
            settings = property.Name switch
            {
                "secret" => settings with { Secret = Text(value, "secret") },
                "secret_file" => settings with { Secret = ReadSecret(Text(value, "secret_file")) },
                "registries" => settings with { Registries = [.. List(value, "registries").Select(Host)] },
                "insecure_registries" => settings with { InsecureRegistries = [.. List(value, "insecure_registries").Select(Host)] },
                "parallel" => settings with { Parallel = Number(value) },
                "rules" => settings with { Rules = [.. List(value, "rules").Select(Rule)] },
                var other => throw new FormatException($"has no key '{other}'; the keys are rules, secret, secret_file, registries, insecure_registries, parallel"),
            };
        }

        return settings.Rules.Count > 0 ? settings : throw new FormatException("has no 'rules': without any it would do nothing");
    }

    /// <summary>With what the rest of the configuration says.</summary>
    /// <exception cref="FailureException">InvalidInput <c>Config.Malformed</c>.</exception>
    public ScannerSettings Checked(string? secretOfEnvironment, bool isLoopback)
    {
        string? secret = secretOfEnvironment ?? Secret;
        if (secret is null && !isLoopback)
        {
            throw Invalid(
                "'scanner' needs a secret, because this proxy listens beyond loopback: name one with 'secret', 'secret_file' or STARLIGHT_SCANNER_SECRET, and in the registry's configuration (docs/webhooks.md)");
        }

        if (secret is { Length: < ScannerSecret.MinLength })
        {
            throw Invalid($"the secret of 'scanner' must have {ScannerSecret.MinLength} characters or more, not {secret.Length}: 'openssl rand -hex 24' makes one");
        }

        return this with { Secret = secret };
    }

    public ScannerOptions ToOptions(RegistryNames names) => new(
        new ScanRules(Rules),
        Registries.Append(names.DefaultRegistry).ToHashSet(StringComparer.OrdinalIgnoreCase),
        InsecureRegistries.ToHashSet(StringComparer.OrdinalIgnoreCase));

    /// <summary>Not the secret: records print themselves into logs.</summary>
    public override string ToString() => $"{Rules.Count} rules";

    private static ScanRule Rule(JsonElement json)
    {
        Dictionary<string, JsonElement> keys = Object(json, "in 'rules' ").EnumerateObject().ToDictionary(p => p.Name, p => p.Value, StringComparer.Ordinal);
        if (keys.Keys.Except(RuleKeys).FirstOrDefault() is { } odd)
        {
            throw new FormatException($"has a rule with the key '{odd}'; the keys are {string.Join(", ", RuleKeys)}");
        }

        SourcePattern source = keys.TryGetValue("source", out JsonElement text) ? Checked(SourcePattern.Parse(Text(text, "source"))) : throw new FormatException("has a rule without 'source'");
        DestinationTemplate? destination = keys.TryGetValue("destination", out JsonElement to) ? Checked(DestinationTemplate.Parse(Text(to, "destination"))) : null;
        ScanAction action = (keys.TryGetValue("action", out JsonElement named) ? Text(named, "action") : destination is null ? "index" : "convert") switch
        {
            "convert" => ScanAction.Convert,
            "index" => ScanAction.Index,
            "ignore" => ScanAction.Ignore,
            var other => throw new FormatException($"has a rule with the action '{other}': write convert, index or ignore"),
        };
        if ((action == ScanAction.Convert) != destination is not null)
        {
            throw new FormatException($"has a rule for '{source}' that {(destination is null ? "converts, but names no 'destination'" : $"names a 'destination', but its action is {action.ToString().ToLowerInvariant()}")}");
        }

        IReadOnlyList<Platform> platforms = keys.TryGetValue("platforms", out JsonElement list) ? [.. List(list, "platforms").Select(p => Checked(Platform.Parse(Text(p, "platforms"))))] : [];
        return new ScanRule(source, action, destination, platforms);
    }

    private static string ReadSecret(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FormatException($"names a 'secret_file' that cannot be read: {e.Message}", e);
        }
    }

    private static string Host(JsonElement value)
    {
        string host = Text(value, "registries");
        Result<ImageReference> parsed = ImageReference.Parse($"{host}/repository");
        return parsed.IsSuccess && parsed.Value.Registry == host ? host : throw new FormatException($"names '{host}', which is not a registry: write HOST or HOST:PORT as in references");
    }

    private static int Number(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number is >= 1 and <= MaxParallel
            ? number
            : throw new FormatException($"has 'parallel' {value.GetRawText()}, which must be from 1 to {MaxParallel}");

    private static T Checked<T>(Result<T> result) => result.IsSuccess ? result.Value : throw new FormatException($"has a rule that cannot be used: {result.Error.Message}");

    private static JsonElement Object(JsonElement value, string where) =>
        value.ValueKind == JsonValueKind.Object ? value : throw new FormatException($"{where}must be an object, not {value.GetRawText()}");

    private static string Text(JsonElement value, string key) =>
        value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : throw new FormatException($"has '{key}' that must be a string");

    private static JsonElement.ArrayEnumerator List(JsonElement value, string key) =>
        value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw new FormatException($"has '{key}', which must be a list");

    private static FailureException Invalid(string message) => new(new Error("Config.Malformed", message, ErrorKind.InvalidInput));
}
