using System.Text.RegularExpressions;

namespace Starlight.Domain.Ordering.Languages;

/// <summary>
/// The words of a shell script that may name what it runs or reads: without comments, with the variables put in that it gave a constant value before. Neither conditions nor functions are
/// understood: what is named in a branch not taken is a guess that misses.
/// </summary>
/// <param name="variables">The environment, to which the script's own variables are added: scripts that it runs or sources are read after it.</param>
internal sealed partial class ShellScript(Dictionary<string, string> variables)
{
    /// <summary>Programs by these names exist, but the shell does not open them.</summary>
    private static readonly HashSet<string> BuiltIn = new(StringComparer.Ordinal)
    {
        "[", "alias", "bg", "break", "builtin", "case", "cd", "command", "continue", "declare", "do", "done", "echo", "elif", "else", "esac", "eval", "exec", "exit", "export", "false", "fi", "for", "function", "getopts",
        "hash", "if", "in", "kill", "let", "local", "printf", "pwd", "read", "readonly", "return", "set", "shift", "shopt", "test", "then", "time", "times", "trap", "true", "type", "typeset", "ulimit", "umask", "unalias",
        "unset", "until", "wait", "while",
    };

    /// <summary>Directories that the script puts into PATH.</summary>
    public List<string> Path { get; } = [];

    /// <summary>One command after the other, each as its words.</summary>
    public IEnumerable<string[]> Commands(string text)
    {
        List<string> last = [];
        bool isResolving = false;
        foreach (string line in text.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n'))
        {
            // while [ -h "$0" ]; do … done: scripts of Java programs follow symbolic links to themselves, which images rarely have.
            isResolving |= SymlinkLoop().IsMatch(line);
            if (isResolving)
            {
                last.Add(line);
                isResolving = !LoopEnd().IsMatch(line);
            }
            else
            {
                foreach (string[] words in CommandsOf(line))
                {
                    yield return words;
                }
            }
        }

        foreach (string[] words in last.SelectMany(CommandsOf))
        {
            yield return words;
        }
    }

    private IEnumerable<string[]> CommandsOf(string line)
    {
        string code = Comment().Replace(line, "");
        bool isDefault = code.Contains("-z ", StringComparison.Ordinal); // [ -z "$NAME" ] && NAME=value
        foreach (Match assignment in Assignment().Matches(code).Where(a => !isDefault || !variables.ContainsKey(a.Groups["name"].Value)))
        {
            Assign(assignment.Groups["name"].Value, Expand(assignment.Groups["value"].Value.Trim('"', '\'')));
        }

        foreach (string command in code.Split([';', '&', '|', '(', ')', '`'], StringSplitOptions.RemoveEmptyEntries))
        {
            string[] words =
            [
                .. command.Split([' ', '\t', '<', '>'], StringSplitOptions.RemoveEmptyEntries)
                    .Select(w => Expand(w.Replace("\"", "", StringComparison.Ordinal).Trim('\'')))
                    .Where(w => w.Length is > 0 and < 1024 && !w.Contains('$', StringComparison.Ordinal))
                    .SkipWhile(w => BuiltIn.Contains(w) || w.Contains('=', StringComparison.Ordinal)),
            ];
            if (words.Length > 0)
            {
                yield return words;
            }
        }
    }

    private void Assign(string name, string value)
    {
        if (name == "PATH")
        {
            Path.AddRange(value.Split(':').Where(d => d.StartsWith('/') && !d.Contains('$', StringComparison.Ordinal)));
        }
        else if (!value.Contains('$', StringComparison.Ordinal) && !value.Contains('`', StringComparison.Ordinal))
        {
            variables[name] = value;
        }
    }

    private string Expand(string word) => word.Contains('$', StringComparison.Ordinal)
        ? Variable().Replace(word, m => variables.GetValueOrDefault(m.Groups["name"].Value) ?? m.Value)
        : word;

    [GeneratedRegex(@"^\s*while\s+(\[\[?|test)\s+-[hL]\s", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SymlinkLoop();

    [GeneratedRegex(@"(^|[\s;])done\b", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex LoopEnd();

    [GeneratedRegex(@"(?:^|\s)#.*$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Comment();

    [GeneratedRegex(@"(?:^|[\s;])(?<name>[A-Za-z_][A-Za-z0-9_]*)=(?<value>""[^""\n]*""|'[^'\n]*'|[^\s;""']+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Assignment();

    [GeneratedRegex(@"\$\{?(?<name>[A-Za-z_][A-Za-z0-9_]*)\}?", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Variable();
}
