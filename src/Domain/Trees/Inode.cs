using Starlight.Domain.Content;

namespace Starlight.Domain.Trees;

/// <summary>
/// An inode of a merged tree. Immutable. Two names of one hard link are the same <see cref="Inode"/> object, so identity, not value, says
/// what is linked; a directory has exactly one name.
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

    /// <summary>The names in a directory; null for every other kind.</summary>
    public DirectoryEntries? Children { get; init; }
}
