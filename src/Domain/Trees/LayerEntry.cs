using Starlight.Domain.Content;

namespace Starlight.Domain.Trees;

/// <summary>One extended attribute. Names carry their namespace (<c>security.capability</c>), values are raw bytes.</summary>
public readonly record struct Xattr(PosixPath Name, ReadOnlyMemory<byte> Value);

/// <summary>
/// One entry of a layer, in the layer's tar order, as the tar header says it. Whiteouts (<c>.wh.name</c>, <c>.wh..wh..opq</c>) are
/// ordinary entries here; only <c>TreeMerger</c> gives them meaning.
/// </summary>
public sealed record LayerEntry
{
    /// <summary>Cleaned path (<see cref="PosixPath.Clean"/>); empty for the root directory itself.</summary>
    public required PosixPath Path { get; init; }

    public required FileKind Kind { get; init; }

    /// <summary>Permission bits with setuid, setgid and sticky: 07777, no type bits.</summary>
    public required ushort Mode { get; init; }

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    /// <summary>Seconds since the epoch; may be negative.</summary>
    public long MtimeSeconds { get; init; }

    /// <summary>0–999,999,999.</summary>
    public uint MtimeNanoseconds { get; init; }

    /// <summary>Length of a regular file's content in bytes, holes included; otherwise 0.</summary>
    public long Size { get; init; }

    /// <summary>sha256 of a regular file's whole content (also of an empty one); default for every other kind.</summary>
    public Digest Content { get; init; }

    /// <summary>Symlink: the target verbatim. Hard link: the cleaned path of the other name. Otherwise empty.</summary>
    public PosixPath LinkTarget { get; init; }

    public uint DeviceMajor { get; init; }

    public uint DeviceMinor { get; init; }

    /// <summary>Sorted by name, each name once.</summary>
    public IReadOnlyList<Xattr> Xattrs { get; init; } = [];
}
