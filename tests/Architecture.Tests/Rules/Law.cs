namespace Starlight.Architecture.Tests.Rules;

/// <summary>
/// A law about the code: subjects that it is about, and what each does against it. It fails with one line per offence, and it fails when it has no subject: a law about types
/// that were renamed or moved would otherwise hold for ever.
/// </summary>
internal static class Law
{
    /// <param name="text">What must be true, in one sentence: the failure begins with it.</param>
    /// <param name="subjects">What the law is about.</param>
    /// <param name="offences">What a subject does against it, each as "who: what"; nothing if it keeps it.</param>
    public static void Holds<T>(string text, IReadOnlyCollection<T> subjects, Func<T, IEnumerable<string>> offences)
    {
        if (subjects.Count == 0)
        {
            throw new LawBrokenException($"{text}\n  but nothing that this is about exists: the rule's own pattern is out of date");
        }

        string[] found = [.. subjects.SelectMany(offences).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (found.Length > 0)
        {
            throw new LawBrokenException($"{text}\n{string.Join('\n', found.Select(o => "  " + o))}");
        }
    }
}

internal sealed class LawBrokenException(string message) : Exception(message);
