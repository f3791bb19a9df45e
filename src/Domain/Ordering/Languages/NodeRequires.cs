using System.Text.RegularExpressions;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering.Languages;

/// <summary>
/// The modules that a Node.js program requires, and they in turn: <c>require('…')</c> and <c>import … from '…'</c> with a constant, resolved as
/// https://nodejs.org/api/modules.html#all-together says, with the directories that Debian adds.
/// </summary>
internal sealed partial class NodeRequires(FoundFiles files)
{
    private static readonly string[] Global = ["/usr/local/lib/node_modules", "/usr/share/nodejs", "/usr/lib/nodejs", "/usr/lib/x86_64-linux-gnu/nodejs", "/usr/lib/aarch64-linux-gnu/nodejs"];
    private static readonly string[] Extensions = ["", ".js", ".json", ".node", ".mjs", ".cjs"];

    private readonly HashSet<Inode> _followed = new(ReferenceEqualityComparer.Instance);

    /// <summary>The program itself is there already.</summary>
    public void AddScript((PosixPath Path, Inode Inode) script)
    {
        if (files.File($"/{script.Path.Parent.Raw}/package.json") is { } manifest)
        {
            files.Add(manifest);
        }

        Follow(script);
    }

    private void Follow((PosixPath Path, Inode Inode) script)
    {
        if (!_followed.Add(script.Inode) || script.Path.Raw.EndsWith(".json", StringComparison.Ordinal) || files.Read(script) is not { } text)
        {
            return;
        }

        foreach (Match match in Require().Matches(text))
        {
            if (Resolve(match.Groups["name"].Value, "/" + script.Path.Parent.Raw) is { } module)
            {
                files.Add(module);
                Follow(module);
            }
        }
    }

    private (PosixPath Path, Inode Inode)? Resolve(string name, string directory)
    {
        if (name.StartsWith('.') || name.StartsWith('/'))
        {
            return Load(name.StartsWith('/') ? name : directory + "/" + name);
        }

        for (string at = directory; ; at = at[..at.LastIndexOf('/')])
        {
            if (Load(at + "/node_modules/" + name) is { } found)
            {
                return found;
            }

            if (at.Length == 0)
            {
                break;
            }
        }

        return Global.Select(g => Load(g + "/" + name)).FirstOrDefault(f => f is not null);
    }

    private (PosixPath Path, Inode Inode)? Load(string path)
    {
        foreach (string extension in Extensions)
        {
            if (files.File(path + extension) is { } file)
            {
                return file;
            }
        }

        if (files.File(path + "/package.json") is { } manifest)
        {
            files.Add(manifest);
            if (files.Read(manifest) is { } text && Main().Match(text) is { Success: true } main && main.Groups["main"].Value.TrimEnd('/') is { Length: > 0 } entry and not ".")
            {
                foreach (string candidate in Extensions.Select(e => entry + e).Append(entry + "/index.js"))
                {
                    if (files.File(path + "/" + candidate) is { } file)
                    {
                        return file;
                    }
                }
            }
        }

        return files.File(path + "/index.js") ?? files.File(path + "/index.json");
    }

    [GeneratedRegex(@"(?:\brequire\s*\(\s*|\bfrom\s+|\bimport\s+)(?<quote>['""])(?<name>[^'""\n]{1,200})\k<quote>", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Require();

    [GeneratedRegex(@"""main""\s*:\s*""(?<main>[^""\n]{1,200})""", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Main();
}
