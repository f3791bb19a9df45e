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
    public bool Includes(string name) => IsAll || Patterns.Any(pattern => Matches(pattern, name));

    public override string ToString() => string.Join(", ", Patterns);

    /// <summary>Which part is a registry is decided as for references; a leading <c>*</c> stands for any.</summary>
    private static string Complete(string pattern, string defaultRegistry)
    {
        int slash = pattern.IndexOf('/', StringComparison.Ordinal);
        string first = slash < 0 ? "" : pattern[..slash];
        if (pattern == "*" || first == "localhost" || first.AsSpan().ContainsAny('.', ':', '*') || first.AsSpan().ContainsAnyInRange('A', 'Z'))
        {
            return pattern;
        }

        return slash < 0 && defaultRegistry == ImageReference.DefaultRegistry && !pattern.Contains('*', StringComparison.Ordinal)
            ? $"{defaultRegistry}/library/{pattern}"
            : $"{defaultRegistry}/{pattern}";
    }

    /// <summary>Goes back to the last star only, so that no pattern takes more than length × length steps.</summary>
    private static bool Matches(string pattern, string name)
    {
        int at = 0;
        int star = -1;
        int starAt = 0;
        for (int i = 0; i < name.Length;)
        {
            if (at < pattern.Length && pattern[at] == '*')
            {
                (star, starAt) = (at++, i);
            }
            else if (at < pattern.Length && pattern[at] == name[i])
            {
                at++;
                i++;
            }
            else if (star >= 0)
            {
                at = star + 1;
                i = ++starAt;
            }
            else
            {
                return false;
            }
        }

        return pattern.AsSpan(at).TrimStart('*').IsEmpty;
    }
}
