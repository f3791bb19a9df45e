using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.References;

/// <summary>
/// A set of repositories, written as patterns of <c>registry/repository</c> in which <c>*</c> stands for any characters, slashes included:
/// <c>registry.example.com/team/*</c>, <c>*/library/redis</c>, <c>*</c>. A pattern without a registry belongs to the default one, as a reference does.
/// </summary>
public sealed class RepositoryPatterns
{
    /// <summary>Every repository.</summary>
    public static readonly RepositoryPatterns All = new(["*"]);

    private RepositoryPatterns(IReadOnlyList<string> patterns)
    {
        Patterns = patterns;
        IsAll = patterns.Contains("*");
    }

    /// <summary>Completed with their registries.</summary>
    public IReadOnlyList<string> Patterns { get; }

    public bool IsAll { get; }

    /// <param name="patterns">As written by a person; none: no repository.</param>
    /// <param name="defaultRegistry">The registry of a pattern that names none.</param>
    public static Result<RepositoryPatterns> Parse(IEnumerable<string> patterns, string defaultRegistry)
    {
        List<string> complete = [];
        foreach (string pattern in patterns)
        {
            if (pattern.Length == 0 || !pattern.All(c => char.IsAsciiLetterOrDigit(c) || ".:-_/*[]".Contains(c, StringComparison.Ordinal)))
            {
                return new Error("Access.PatternMalformed", $"'{pattern}' is not a pattern of repositories: write e.g. registry.example.com/team/*", ErrorKind.InvalidInput);
            }

            complete.Add(Complete(pattern, defaultRegistry));
        }

        return new RepositoryPatterns(complete);
    }

    /// <param name="name"><see cref="ImageReference.Name"/>.</param>
    public bool Includes(string name) => IsAll || Patterns.Any(pattern => Wildcard.Matches(pattern, name));

    public override string ToString() => string.Join(", ", Patterns);

    /// <summary>Which part is a registry is decided as for references; a leading <c>*</c> stands for any.</summary>
    private static string Complete(string pattern, string defaultRegistry)
    {
        int slash = pattern.IndexOf('/', StringComparison.Ordinal);
        string first = slash < 0 ? "" : pattern[..slash];
        if (pattern[0] == '*' || first == "localhost" || first.AsSpan().ContainsAny('.', ':', '*') || first.AsSpan().ContainsAnyInRange('A', 'Z'))
        {
            return pattern;
        }

        return slash < 0 && defaultRegistry == ImageReference.DefaultRegistry && !pattern.Contains('*', StringComparison.Ordinal)
            ? $"{defaultRegistry}/library/{pattern}"
            : $"{defaultRegistry}/{pattern}";
    }
}
