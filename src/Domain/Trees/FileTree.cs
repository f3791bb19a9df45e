using Starlight.Domain.Content;

namespace Starlight.Domain.Trees;

/// <summary>
/// An inode of a merged tree. Two names of one hard link are the same <see cref="Inode"/> object. Immutable but for the children of a
/// directory, which only <c>TreeMerger</c> and <see cref="FileTree"/>'s builders change.
/// </summary>
public sealed class Inode
{
    /// <summary><see cref="FileKind.HardLink"/> never occurs here.</summary>
    public required FileKind Kind { get; init; }

    /// <summary>07777, no type bits.</summary>
    public required ushort Mode { get; init; }

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public long MtimeSeconds { get; init; }

    public uint MtimeNanoseconds { get; init; }

    /// <summary>Length of a regular file's content in bytes.</summary>
    public long Size { get; init; }

    /// <summary>sha256 of a regular file's content; default for other kinds.</summary>
    public Digest Content { get; init; }

    public PosixPath LinkTarget { get; init; }

    public uint DeviceMajor { get; init; }

    public uint DeviceMinor { get; init; }

    /// <summary>Sorted by name, each name once.</summary>
    public IReadOnlyList<Xattr> Xattrs { get; init; } = [];

    /// <summary>Names of a directory in byte order (<see cref="PosixPath"/> order); null for every other kind.</summary>
    public SortedDictionary<PosixPath, Inode>? Children { get; init; }
}

/// <summary>The tree a container sees: all layers applied, whiteouts and opaque directories resolved.</summary>
/// <param name="Root">The root directory.</param>
public sealed record FileTree(Inode Root)
{
    /// <summary>Every name below the root with its inode, depth first, names in byte order; the root itself first with an empty path.</summary>
    public IEnumerable<(PosixPath Path, Inode Inode)> Walk()
    {
        Stack<(PosixPath Path, Inode Inode)> pending = new();
        pending.Push((PosixPath.Root, Root));
        while (pending.TryPop(out (PosixPath Path, Inode Inode) next))
        {
            yield return next;
            if (next.Inode.Children is { } children)
            {
                foreach ((PosixPath name, Inode child) in children.Reverse())
                {
                    pending.Push((next.Path.Append(name), child));
                }
            }
        }
    }
}
