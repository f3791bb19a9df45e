namespace Starlight.Domain.References;

/// <summary>Patterns in which <c>*</c> stands for any characters, none and slashes included, and every other character for itself.</summary>
internal static class Wildcard
{
    /// <summary>Goes back to the last star only, so that no pattern takes more than length × length steps.</summary>
    public static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> text)
    {
        int at = 0;
        int star = -1;
        int starAt = 0;
        for (int i = 0; i < text.Length;)
        {
            if (at < pattern.Length && pattern[at] == '*')
            {
                (star, starAt) = (at++, i);
            }
            else if (at < pattern.Length && pattern[at] == text[i])
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

        return pattern[at..].TrimStart('*').IsEmpty;
    }
}
