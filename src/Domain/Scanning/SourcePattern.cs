using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Scanning;

/// <summary>
/// Which pushed tags a rule is for: <c>[REGISTRY/]REPOSITORY[:TAG]</c>, in which <c>*</c> stands for any characters, slashes included. Without a registry it is for every
/// registry that the proxy knows, without a tag for every tag. What a registry is is decided as in references: a first part with a dot, a colon or capitals, or <c>localhost</c>.
/// </summary>
public sealed class SourcePattern
{
    private readonly string? _registry;
    private readonly string _repository;
    private readonly string _tag;

    private SourcePattern(string text, string? registry, string repository, string tag) => (Text, _registry, _repository, _tag) = (text, registry, repository, tag);

    /// <summary>As written.</summary>
    public string Text { get; }

    public static Result<SourcePattern> Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        (string? registry, string rest) = ReferenceParts.SplitRegistry(text);
        (string repository, string? tag) = ReferenceParts.SplitTag(rest);
        if (repository.Length == 0 || tag is { Length: 0 } || registry is { Length: 0 })
        {
            return ScanErrors.Pattern(text, "a part of it is empty");
        }

        string? odd = text.Contains('@', StringComparison.Ordinal) ? "it names a digest" : Unusable(registry, ".-:[]*") ?? Unusable(repository, "._-/*") ?? Unusable(tag, "._-*");
        return odd is null ? new SourcePattern(text, registry, repository, tag ?? "*") : ScanErrors.Pattern(text, odd);
    }

    /// <param name="pushed">With a tag.</param>
    public bool Matches(ImageReference pushed)
    {
        ArgumentNullException.ThrowIfNull(pushed);
        return (_registry is null || Wildcard.Matches(_registry, pushed.Registry)) && Wildcard.Matches(_repository, pushed.Repository) && Wildcard.Matches(_tag, pushed.Tag);
    }

    public override string ToString() => Text;

    private static string? Unusable(string? part, string allowed)
    {
        foreach (char c in part ?? "")
        {
            if (!char.IsAsciiLetterOrDigit(c) && !allowed.Contains(c, StringComparison.Ordinal))
            {
                return $"'{c}' cannot be in '{part}'";
            }
        }

        return null;
    }
}
