using System.Text.RegularExpressions;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering.Languages;

/// <summary>
/// The modules that a Python program imports, and they in turn, as far as their source says so at the top level: <c>import</c> and <c>from</c> outside of functions. What an interpreter imports
/// before any program comes first (site.py and what it needs). Of a module the compiled form is opened if it is there (PEP 3147), else the source.
/// </summary>
internal sealed partial class PythonImports(FoundFiles files, string libraryDirectory, string version)
{
    /// <summary>What <c>python3 -X importtime -c pass</c> shows on 3.9 to 3.13, in that order; what a version does not have is passed over.</summary>
    private static readonly string[] AtStart =
    [
        "encodings", "codecs", "encodings.aliases", "encodings.utf_8", "io", "abc", "site", "os", "stat", "posixpath", "genericpath", "_collections_abc", "_sitebuiltins", "sitecustomize", "usercustomize",
    ];

    /// <summary>Python takes the locale that comes without a language if its environment names none (PEP 538), and the C library the list of its conversions with it. As distributions write them.</summary>
    private static readonly string[] Locale =
    [
        "/usr/lib/locale/C.utf8/LC_CTYPE", "/usr/lib/locale/C.UTF-8/LC_CTYPE", "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache", "/usr/lib/aarch64-linux-gnu/gconv/gconv-modules.cache",
        "/usr/lib64/gconv/gconv-modules.cache",
    ];

    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly string[] _system =
    [
        libraryDirectory, libraryDirectory + "/lib-dynload", $"/usr/local/lib/python{version}/site-packages", $"/usr/local/lib/python{version}/dist-packages",
        libraryDirectory + "/site-packages", "/usr/lib/python3/dist-packages",
    ];

    /// <summary>The library of an interpreter whose real path is given, or null if it is no Python or has none.</summary>
    public static PythonImports? Of((PosixPath Path, Inode Inode) program, FoundFiles files)
    {
        Match match = Interpreter().Match(program.Path.Raw);
        string version = match.Groups["version"].Value;
        return match.Success && $"/{match.Groups["prefix"].Value}lib/python{version}" is var directory && files.Directory(directory) is not null
            ? new PythonImports(files, directory, version)
            : null;
    }

    public void AddStart()
    {
        foreach (string name in Locale)
        {
            if (files.File(name) is { } file)
            {
                files.Add(file);
            }
        }

        foreach (string module in AtStart)
        {
            Import(module, []);
        }
    }

    /// <summary>The program itself is there already.</summary>
    public void AddScript((PosixPath Path, Inode Inode) script) => Follow(script, "", ["/" + script.Path.Parent.Raw]);

    /// <summary><c>python -m name</c>.</summary>
    public void AddModule(string name, string workingDirectory)
    {
        Import(name, [workingDirectory]);
        Import(name + ".__main__", [workingDirectory]);
    }

    private void Import(string module, string[] own)
    {
        string[] parts = module.Split('.');
        for (int length = 1; length <= parts.Length; length++)
        {
            string name = string.Join('.', parts[..length]);
            if (_seen.Add(name) && Find(name, own) is { } found)
            {
                AddCompiled(found);
                Follow(found, found.Path.Name.Raw == "__init__.py" || length < parts.Length ? name : string.Join('.', parts[..(length - 1)]), own);
            }
        }
    }

    private (PosixPath Path, Inode Inode)? Find(string module, string[] own)
    {
        string relative = module.Replace('.', '/');
        foreach (string directory in own.Concat(_system))
        {
            string path = directory + "/" + relative;
            if ((files.File(path + "/__init__.py") ?? files.File(path + ".py")) is { } source)
            {
                return source;
            }

            // _ssl.cpython-311-x86_64-linux-gnu.so, _ssl.abi3.so, _ssl.so
            int slash = path.LastIndexOf('/');
            string name = path[(slash + 1)..] + ".";
            if (files.Directory(path[..slash]) is { } entries
                && entries.FirstOrDefault(e => e.Key.Raw.StartsWith(name, StringComparison.Ordinal) && e.Key.Raw.EndsWith(".so", StringComparison.Ordinal)).Key is { IsEmpty: false } extension)
            {
                return files.File(path[..slash] + "/" + extension.Raw);
            }
        }

        return null;
    }

    private void AddCompiled((PosixPath Path, Inode Inode) source)
    {
        string name = source.Path.Name.Raw;
        files.Add(name.EndsWith(".py", StringComparison.Ordinal)
            && files.File($"/{source.Path.Parent.Raw}/__pycache__/{name[..^3]}.cpython-{version.Replace(".", "", StringComparison.Ordinal)}.pyc") is { } compiled
            ? compiled
            : source);
    }

    /// <param name="source">A module.</param>
    /// <param name="package">The package that relative imports in it start from.</param>
    /// <param name="own">Directories that come before the system's.</param>
    private void Follow((PosixPath Path, Inode Inode) source, string package, string[] own)
    {
        if (source.Path.Name.Raw.EndsWith(".so", StringComparison.Ordinal) || files.Read(source) is not { } text)
        {
            return;
        }

        foreach (string module in ImportsOf(text, package))
        {
            Import(module, own);
        }
    }

    private static IEnumerable<string> ImportsOf(string text, string package)
    {
        int? function = null;
        foreach (Match line in TopLevel().Matches(text))
        {
            int indent = line.Groups["indent"].Length;
            if (function is { } outer && indent > outer)
            {
                continue;
            }

            function = line.Groups["skip"].Success ? indent : null;
            if (line.Groups["names"] is { Success: true } names)
            {
                foreach (string name in Names(names.Value))
                {
                    yield return name;
                }
            }
            else if (line.Groups["module"] is { Success: true } module && Absolute(module.Value, package) is { } from)
            {
                if (from.Length > 0)
                {
                    yield return from;
                }

                // what is imported from a package may be a module of it
                foreach (string name in Names(line.Groups["from"].Value))
                {
                    yield return from.Length > 0 ? $"{from}.{name}" : name;
                }
            }
        }
    }

    private static IEnumerable<string> Names(string list) => list.Split(',')
        .Select(n => n.Trim(' ', '(', ')', '\t', '\r', '\n', '\\').Split(' ', 2)[0])
        .Where(n => n.Length is > 0 and < 200 && n.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.'));

    private static string? Absolute(string module, string package)
    {
        int dots = module.TakeWhile(c => c == '.').Count();
        if (dots == 0)
        {
            return module;
        }

        string[] parts = package.Split('.', StringSplitOptions.RemoveEmptyEntries);
        return dots - 1 <= parts.Length ? string.Join('.', [.. parts[..(parts.Length - dots + 1)], .. module[dots..].Split('.', StringSplitOptions.RemoveEmptyEntries)]) : null;
    }

    [GeneratedRegex(@"^(?<prefix>(?:.*/)?)bin/python(?<version>\d+\.\d+)\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Interpreter();

    /// <summary>Lines that begin a statement: an import, the head of a block that is not run at import, or anything else (which ends such a block).</summary>
    [GeneratedRegex(
        @"^(?<indent>[ \t]*)(?:import[ \t]+(?<names>[^\n#;]+)|from[ \t]+(?<module>[.\w]+)[ \t]+import[ \t]+(?<from>\([^)]*\)|[^\n#;]+)|(?<skip>(?:async[ \t]+)?def[ \t]|if[ \t]+(?:typing\.)?TYPE_CHECKING)|[^\s#)\]}])",
        RegexOptions.CultureInvariant | RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex TopLevel();
}
