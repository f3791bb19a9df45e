using System.Text;
using System.Text.RegularExpressions;

namespace Starlight.Domain.Snapshots.Filters;

/// <summary>
/// Runs Go's regular expressions (RE2 syntax, golang.org/s/re2syntax) on .NET's non-backtracking engine, which has the same guarantee: time linear in the input, whoever
/// wrote the expression. What the two spell differently is rewritten: <c>(?P&lt;n&gt;…)</c>, <c>[[:alpha:]]</c> classes, ASCII-only <c>\d \w \s</c>, and <c>$</c>, which in Go
/// is the very end of the text. Not supported, hence matching nothing: the ungreedy flag <c>(?U)</c> and <c>\C</c>.
/// </summary>
internal static class GoRegularExpression
{
    private static readonly Dictionary<string, string> PosixClasses = new()
    {
        ["alnum"] = "0-9A-Za-z",
        ["alpha"] = "A-Za-z",
        ["ascii"] = @"\x00-\x7F",
        ["blank"] = @"\t ",
        ["cntrl"] = @"\x00-\x1F\x7F",
        ["digit"] = "0-9",
        ["graph"] = "!-~",
        ["lower"] = "a-z",
        ["print"] = " -~",
        ["punct"] = @"!-/:-@\[-`{-~",
        ["space"] = @"\t\n\v\f\r ",
        ["upper"] = "A-Z",
        ["word"] = "0-9A-Za-z_",
        ["xdigit"] = "0-9A-Fa-f",
    };

    public static Regex? TryCompile(string expression)
    {
        try
        {
            return new Regex(Translate(expression), RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception unusable) when (unusable is ArgumentException or NotSupportedException)
        {
            return null;
        }
    }

    internal static string Translate(string go)
    {
        var net = new StringBuilder(go.Length + 16);
        bool inClass = false;
        bool multiline = false;
        for (int i = 0; i < go.Length; i++)
        {
            ReadOnlySpan<char> rest = go.AsSpan(i);
            if (rest.StartsWith(@"\Q"))
            {
                int end = go.IndexOf(@"\E", i + 2, StringComparison.Ordinal);
                net.Append(Regex.Escape(end < 0 ? go[(i + 2)..] : go[(i + 2)..end]));
                i = end < 0 ? go.Length : end + 1;
            }
            else if (rest[0] == '\\' && rest.Length > 1)
            {
                net.Append(Escaped(rest[1], inClass));
                i++;
            }
            else if (inClass && rest.StartsWith("[:") && PosixClass(rest) is { } posix)
            {
                net.Append(posix.Ranges);
                i += posix.Length - 1;
            }
            else if (inClass)
            {
                inClass = rest[0] != ']';
                net.Append(rest[0] == '[' ? @"\[" : rest[0]);
            }
            else if (rest[0] == '[')
            {
                // The first ']' of a class is a literal in both languages, but only if nothing else separates it from the bracket.
                inClass = true;
                int head = rest.StartsWith("[^") ? 2 : 1;
                net.Append(rest[..head]);
                i += head - 1;
                if (rest.Length > head && rest[head] == ']')
                {
                    net.Append(@"\]");
                    i++;
                }
            }
            else if (rest.StartsWith("(?P<"))
            {
                net.Append("(?<");
                i += 3;
            }
            else
            {
                multiline |= rest.StartsWith("(?") && rest[2..].IndexOfAny(":)") is > 0 and var flags && rest.Slice(2, flags).Contains('m');
                net.Append(rest[0] == '$' && !multiline ? @"\z" : rest[0].ToString());
            }
        }

        return net.ToString();
    }

    private static string Escaped(char letter, bool inClass) => (letter, inClass) switch
    {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('D', false) => "[^0-9]",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('W', false) => "[^0-9A-Za-z_]",
        ('s', false) => @"[\t\n\f\r ]",
        ('s', true) => @"\t\n\f\r ",
        ('S', false) => @"[^\t\n\f\r ]",
        _ => $"\\{letter}",
    };

    private static (string Ranges, int Length)? PosixClass(ReadOnlySpan<char> rest)
    {
        int end = rest.IndexOf(":]");
        return end > 2 && PosixClasses.TryGetValue(rest[2..end].ToString(), out string? ranges) ? (ranges, end + 2) : null;
    }
}
