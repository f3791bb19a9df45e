using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering.Languages;

/// <summary>What readers of scripts share: they look files up, read the small ones and add what will be opened, each once.</summary>
/// <param name="lookup">Resolves paths.</param>
/// <param name="peek">Reads.</param>
/// <param name="add">Adds a file with what it needs itself (an ELF object's libraries); false if it was there, or there is no room.</param>
internal sealed class FoundFiles(TreeLookup lookup, PeekContent peek, Func<(PosixPath Path, Inode Inode), bool> add)
{
    /// <summary>A script that somebody wrote is shorter; what is longer was generated, and is not worth reading for a guess. Arbitrary.</summary>
    private const int MaxScriptLength = 256 << 10;

    public bool Add((PosixPath Path, Inode Inode) file) => add(file);

    /// <summary>A regular file, symlinks followed; null if there is none.</summary>
    public (PosixPath Path, Inode Inode)? File(string path, string directory = "/") =>
        lookup.Find(path, directory) is { Inode: { Kind: FileKind.Regular, Size: > 0 } } found ? found : null;

    public DirectoryEntries? Directory(string path) => lookup.Find(path) is { Inode.Children: { } children } ? children : null;

    /// <summary>One char per byte; null if it cannot be had or is no script.</summary>
    public string? Read((PosixPath Path, Inode Inode) file) =>
        file.Inode.Size <= MaxScriptLength && peek(file.Inode.Content, 0, MaxScriptLength) is { } bytes ? Encoding.Latin1.GetString(bytes.Span) : null;
}
