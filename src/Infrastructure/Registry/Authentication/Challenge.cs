namespace Starlight.Infrastructure.Registry.Authentication;

/// <summary>
/// One challenge of a <c>WWW-Authenticate</c> header (RFC 9110, section 11.6.1; distribution docs/spec/auth/token.md):
/// <code>
/// Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull"
/// │      └ auth-param *( "," auth-param ), values are tokens or quoted strings with backslash escapes
/// └ scheme; further challenges may follow after a comma
/// </code>
/// </summary>
internal sealed record Challenge(string Scheme, IReadOnlyDictionary<string, string> Parameters)
{
    public bool IsBearer => string.Equals(Scheme, "Bearer", StringComparison.OrdinalIgnoreCase);

    public bool IsBasic => string.Equals(Scheme, "Basic", StringComparison.OrdinalIgnoreCase);

    public string? this[string name] => Parameters.GetValueOrDefault(name);

    /// <summary>The challenge that this client answers: Bearer before Basic, as other clients do. Null if there is neither.</summary>
    public static Challenge? Choose(IEnumerable<string> headers)
    {
        List<Challenge> all = [.. headers.SelectMany(Parse)];
        return all.Find(c => c.IsBearer && c["realm"] is not null) ?? all.Find(c => c.IsBasic);
    }

    /// <summary>Reads what is well formed and drops the rest of a header from its first malformed byte on: it comes from a stranger.</summary>
    public static IReadOnlyList<Challenge> Parse(string header)
    {
        List<Challenge> challenges = [];
        Dictionary<string, string>? parameters = null;
        int at = 0;
        while (true)
        {
            at = SkipAny(header, at, " \t,");
            string token = Token(header, ref at);
            if (token.Length == 0)
            {
                return challenges;
            }

            int afterToken = SkipAny(header, at, " \t");
            if (parameters is null || afterToken >= header.Length || header[afterToken] != '=')
            {
                parameters = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
                challenges.Add(new Challenge(token, parameters));
                continue;
            }

            at = SkipAny(header, afterToken + 1, " \t");
            string? value = at < header.Length && header[at] == '"' ? QuotedString(header, ref at) : Token(header, ref at);
            if (value is null)
            {
                return challenges;
            }

            parameters.TryAdd(token, value);
        }
    }

    private static int SkipAny(string text, int at, string skipped)
    {
        while (at < text.Length && skipped.Contains(text[at], StringComparison.Ordinal))
        {
            at++;
        }

        return at;
    }

    /// <summary>tchar of RFC 9110, section 5.6.2, and the characters of unquoted addresses that some registries send.</summary>
    private static string Token(string text, ref int at)
    {
        int start = at;
        while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || "!#$%&'*+-.^_`|~:/?".Contains(text[at], StringComparison.Ordinal)))
        {
            at++;
        }

        return text[start..at];
    }

    private static string? QuotedString(string text, ref int at)
    {
        System.Text.StringBuilder value = new();
        for (at++; at < text.Length; at++)
        {
            if (text[at] == '"')
            {
                at++;
                return value.ToString();
            }

            if (text[at] == '\\' && ++at >= text.Length)
            {
                return null;
            }

            value.Append(text[at]);
        }

        return null;
    }
}
