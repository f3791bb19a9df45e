using System.Text.RegularExpressions;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Scanning;

/// <summary>
/// Where a converted image goes: <c>[REGISTRY/]REPOSITORY:TAG</c> with <c>{registry}</c>, <c>{repository}</c>, <c>{name}</c> (the repository's last part) and <c>{tag}</c> of
/// the source. Without a registry it is the source's.
/// </summary>
public sealed partial class DestinationTemplate
{
    internal const string Registry = "{registry}";
    private const string Repository = "{repository}";
    private const string Name = "{name}";
    private const string Tag = "{tag}";

    private readonly string _registry;
    private readonly string _repository;
    private readonly string _tag;

    private DestinationTemplate(string text, string registry, string repository, string tag) => (Text, _registry, _repository, _tag) = (text, registry, repository, tag);

    /// <summary>As written.</summary>
    public string Text { get; }

    public static Result<DestinationTemplate> Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        (string? registry, string rest) = ReferenceParts.SplitRegistry(text);
        (string repository, string? tag) = ReferenceParts.SplitTag(rest);
        if (tag is null)
        {
            return ScanErrors.Template(text, "it has no tag");
        }

        string plain = Placeholder().Replace(text, "");
        if (plain.AsSpan().ContainsAny('{', '}'))
        {
            return ScanErrors.Template(text, "it has braces around something else");
        }

        if (registry is not null && registry != Registry && registry.Contains('{', StringComparison.Ordinal))
        {
            return ScanErrors.Template(text, $"'{registry}' mixes a registry with something else");
        }

        if (tag.Contains('/', StringComparison.Ordinal) || tag.Contains(Repository, StringComparison.Ordinal) || rest.Contains(Registry, StringComparison.Ordinal))
        {
            return ScanErrors.Template(text, "{repository} cannot be part of a tag, nor {registry} of anything but the beginning");
        }

        if (registry is null or Registry && repository == Repository && tag == Tag)
        {
            return ScanErrors.Template(text, "it is the source itself, which users may have pinned");
        }

        DestinationTemplate template = new(text, registry ?? Registry, repository, tag);

        // What goes wrong with the plainest of sources goes wrong with all.
        Result<ImageReference> sample = template.Apply(ImageReference.Parse("registry.example/a:a").Value);
        return sample.IsSuccess ? template : ScanErrors.Template(text, sample.Error.Message);
    }

    /// <summary>Fails with <c>Reference.Malformed</c> if the result is too long.</summary>
    /// <param name="source">With a tag.</param>
    public Result<ImageReference> Apply(ImageReference source)
    {
        ArgumentNullException.ThrowIfNull(source);
        string registry = _registry == Registry ? source.Registry : _registry;
        return ImageReference.Parse($"{registry}/{Fill(_repository, source)}:{Fill(_tag, source)}");
    }

    /// <summary>True for everything that <see cref="Apply"/> can return, and for what merely looks like it.</summary>
    public bool CouldProduce(ImageReference pushed)
    {
        ArgumentNullException.ThrowIfNull(pushed);
        return (_registry == Registry || string.Equals(_registry, pushed.Registry, StringComparison.OrdinalIgnoreCase))
            && (Wildcard.Matches(Open(_repository), pushed.Repository)
                || (pushed.Registry == ImageReference.DefaultRegistry && Wildcard.Matches("library/" + Open(_repository), pushed.Repository)))
            && Wildcard.Matches(Open(_tag), pushed.Tag);
    }

    public override string ToString() => Text;

    private static string Fill(string part, ImageReference source) => part
        .Replace(Repository, source.Repository, StringComparison.Ordinal)
        .Replace(Name, source.Repository[(source.Repository.LastIndexOf('/') + 1)..], StringComparison.Ordinal)
        .Replace(Tag, source.Tag, StringComparison.Ordinal);

    private static string Open(string part) => Placeholder().Replace(part, "*");

    [GeneratedRegex(@"\{(?:registry|repository|name|tag)\}", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Placeholder();
}
