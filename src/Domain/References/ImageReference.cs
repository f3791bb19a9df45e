using System.Text.RegularExpressions;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.References;

/// <summary>
/// A fully qualified image name: registry host, repository and a tag and/or digest. Short names are completed as Docker and containerd's tools do
/// (<c>redis</c> → <c>docker.io/library/redis:latest</c>); grammar: github.com/distribution/reference.
/// </summary>
public sealed partial record ImageReference
{
    public const string DefaultRegistry = "docker.io";
    public const string DefaultTag = "latest";

    /// <summary>Longest repository name with its registry (distribution/reference, NameTotalLengthMax).</summary>
    private const int MaxNameLength = 255;

    private ImageReference(string registry, string repository, string? tag, Digest? digest)
    {
        Registry = registry;
        Repository = repository;
        Tag = tag;
        Digest = digest;
    }

    /// <summary>Host with optional port, e.g. <c>docker.io</c> or <c>127.0.0.1:5000</c>.</summary>
    public string Registry { get; }

    /// <summary>Path below the registry, e.g. <c>library/redis</c>.</summary>
    public string Repository { get; }

    /// <summary>The tag; null only if there is a digest.</summary>
    public string? Tag { get; }

    public Digest? Digest { get; }

    /// <summary>Registry and repository without tag and digest.</summary>
    public string Name => $"{Registry}/{Repository}";

    /// <summary>What a registry resolves: the digest if there is one, else the tag.</summary>
    public string TagOrDigest => Digest?.ToString() ?? Tag!;

    public static Result<ImageReference> Parse(string? text) => Parse(text, DefaultRegistry);

    /// <param name="text">What the user typed.</param>
    /// <param name="defaultRegistry">The registry of a name that has none.</param>
    public static Result<ImageReference> Parse(string? text, string defaultRegistry)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return Malformed(text, "it is empty");
        }

        string rest = text;
        Digest? digest = null;
        int at = rest.IndexOf('@', StringComparison.Ordinal);
        if (at >= 0)
        {
            if (!Content.Digest.TryParse(rest[(at + 1)..], out Digest parsed))
            {
                return Malformed(text, "what follows '@' must be sha256: and 64 lower-case hex digits");
            }

            digest = parsed;
            rest = rest[..at];
        }

        string? tag = null;
        int colon = rest.LastIndexOf(':');
        if (colon > rest.LastIndexOf('/'))
        {
            tag = rest[(colon + 1)..];
            rest = rest[..colon];
            if (!TagPattern().IsMatch(tag))
            {
                return Malformed(text, $"'{tag}' is not a tag (letters, digits, '_', '.', '-'; 128 at most)");
            }
        }

        int slash = rest.IndexOf('/', StringComparison.Ordinal);
        string first = slash < 0 ? "" : rest[..slash];
        bool hasRegistry = first == "localhost" || first.AsSpan().ContainsAny('.', ':') || first.AsSpan().ContainsAnyInRange('A', 'Z');
        string registry = hasRegistry ? first : defaultRegistry;
        string repository = hasRegistry ? rest[(slash + 1)..] : rest;
        if (registry is "index.docker.io" or "registry-1.docker.io")
        {
            registry = DefaultRegistry;
        }

        if (registry == DefaultRegistry && !repository.Contains('/', StringComparison.Ordinal))
        {
            repository = "library/" + repository;
        }

        if (!RegistryPattern().IsMatch(registry))
        {
            return Malformed(text, $"'{registry}' is not a registry host");
        }

        if (!RepositoryPattern().IsMatch(repository))
        {
            return Malformed(text, $"'{repository}' is not a repository (lower-case letters, digits, single '.', '_', '-' between them, parts separated by '/')");
        }

        if (registry.Length + 1 + repository.Length > MaxNameLength)
        {
            return Malformed(text, $"its name is longer than {MaxNameLength} characters");
        }

        return new ImageReference(registry, repository, tag ?? (digest is null ? DefaultTag : null), digest);
    }

    public ImageReference WithDigest(Digest digest) => new(Registry, Repository, Tag, digest);

    public ImageReference WithTag(string tag) => new(Registry, Repository, tag, digest: null);

    /// <summary>The canonical text: <c>registry/repository[:tag][@digest]</c>. It is also the image's name in containerd.</summary>
    public override string ToString() =>
        Name + (Tag is null ? "" : ":" + Tag) + (Digest is null ? "" : "@" + Digest);

    private static Error Malformed(string? text, string why) =>
        new("Reference.Malformed", $"'{text}' is not an image reference: {why}", ErrorKind.InvalidInput);

    [GeneratedRegex(@"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex TagPattern();

    // domain-component *("." domain-component) [":" port], or a bracketed IPv6 address
    [GeneratedRegex(@"^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex RegistryPattern();

    [GeneratedRegex(@"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex RepositoryPattern();
}
