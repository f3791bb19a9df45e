using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>
/// Where the dynamic loader of an image looks for libraries (ld.so(8)): DT_RPATH, LD_LIBRARY_PATH, DT_RUNPATH, then the directories of /etc/ld.so.conf and the
/// built-in ones. The loader itself reads the last two from ld.so.cache, which ldconfig made from them.
/// </summary>
internal sealed class LibrarySearch
{
    /// <summary>ldconfig has no limit; two levels are what distributions use. Arbitrary, against circles.</summary>
    private const int MaxIncludeDepth = 4;

    /// <summary>Real ones are below 1 KiB. Arbitrary.</summary>
    private const int MaxConfigLength = 64 << 10;

    /// <summary>glibc's directories with Debian's multiarch names, then musl's.</summary>
    private static readonly string[] BuiltIn =
    [
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib/arm-linux-gnueabihf",
        "/usr/lib/arm-linux-gnueabihf", "/lib/i386-linux-gnu", "/usr/lib/i386-linux-gnu", "/lib/powerpc64le-linux-gnu", "/usr/lib/powerpc64le-linux-gnu",
        "/lib/s390x-linux-gnu", "/usr/lib/s390x-linux-gnu", "/lib/riscv64-linux-gnu", "/usr/lib/riscv64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
        "/usr/local/lib",
    ];

    private readonly TreeLookup _lookup;
    private readonly PeekContent _peek;
    private readonly string[] _environment;
    private readonly List<string> _system = [];

    public LibrarySearch(TreeLookup lookup, string? libraryPath, PeekContent peek)
    {
        _lookup = lookup;
        _peek = peek;
        _environment = Split(libraryPath);
        ReadConfig("/etc/ld.so.conf", depth: 0);
        _system.AddRange(BuiltIn);
    }

    /// <summary>Files that could be the library, best first.</summary>
    public IEnumerable<(PosixPath Path, Inode Inode)> Candidates(string name, ElfFile user, PosixPath userPath)
    {
        if (name.Contains('/', StringComparison.Ordinal))
        {
            return Find([name]);
        }

        string origin = "/" + userPath.Parent.Raw;
        string[] own = user.Runpath is null ? Expand(user.Rpath, origin) : [];
        return Find([.. own, .. _environment, .. Expand(user.Runpath, origin), .. _system], name);
    }

    private IEnumerable<(PosixPath Path, Inode Inode)> Find(IEnumerable<string> directories, string? name = null)
    {
        foreach (string directory in directories)
        {
            if (_lookup.Find(name is null ? directory : directory + "/" + name) is { Inode.Kind: FileKind.Regular } found)
            {
                yield return found;
            }
        }
    }

    private static string[] Expand(string? path, string origin) =>
        [.. Split(path).Select(p => p.Replace("$ORIGIN", origin, StringComparison.Ordinal).Replace("${ORIGIN}", origin, StringComparison.Ordinal))];

    private static string[] Split(string? path) => path?.Split(':', StringSplitOptions.RemoveEmptyEntries) ?? [];

    private void ReadConfig(string path, int depth)
    {
        if (depth > MaxIncludeDepth
            || _lookup.Find(path) is not { Inode: { Kind: FileKind.Regular, Size: > 0 } file }
            || _peek(file.Content, 0, MaxConfigLength) is not { } bytes)
        {
            return;
        }

        foreach (string raw in Encoding.Latin1.GetString(bytes.Span).Split('\n'))
        {
            string line = raw.Split('#')[0].Trim();
            string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words is ["include", _, ..])
            {
                foreach (string pattern in words[1..])
                {
                    foreach (string included in Glob(pattern))
                    {
                        ReadConfig(included, depth + 1);
                    }
                }
            }
            else if (line.StartsWith('/'))
            {
                _system.Add(line);
            }
        }
    }

    /// <summary>Only the last component may hold an asterisk, and one: <c>/etc/ld.so.conf.d/*.conf</c> is what every distribution says.</summary>
    private IEnumerable<string> Glob(string pattern)
    {
        int slash = pattern.LastIndexOf('/');
        int star = pattern.IndexOf('*', StringComparison.Ordinal);
        if (star < 0 || star < slash)
        {
            return [pattern];
        }

        string directory = slash < 0 ? "/etc" : pattern[..(slash + 1)];
        string prefix = pattern[(slash + 1)..star];
        string suffix = pattern[(star + 1)..];
        return _lookup.Find(directory) is { Inode.Children: { } children }
            ? children.Select(c => c.Key)
                .Select(k => k.Raw)
                .Where(n => n.Length >= prefix.Length + suffix.Length && n.StartsWith(prefix, StringComparison.Ordinal) && n.EndsWith(suffix, StringComparison.Ordinal))
                .Select(n => directory + "/" + n)
            : [];
    }
}
