using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Images.Tar;

/// <summary>One entry of a tar stream with all its extension headers applied. Valid until the reader moves on, but for the strings.</summary>
internal sealed record TarEntry
{
    /// <summary>As stored, not cleaned.</summary>
    public required PosixPath Name { get; init; }

    public required FileKind Kind { get; init; }

    /// <summary>Verbatim target of a symlink, or name of a hard link's other entry.</summary>
    public PosixPath LinkName { get; init; }

    /// <summary>As stored: permission bits and, by some writers, file type bits.</summary>
    public long Mode { get; init; }

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public PosixPath UserName { get; init; }

    public PosixPath GroupName { get; init; }

    public long MtimeSeconds { get; init; }

    public uint MtimeNanoseconds { get; init; }

    public uint DeviceMajor { get; init; }

    public uint DeviceMinor { get; init; }

    /// <summary>Length of a regular file, holes included; 0 for every other kind.</summary>
    public long Size { get; init; }

    /// <summary>Sorted by name, each name once.</summary>
    public IReadOnlyList<Xattr> Xattrs { get; init; } = [];

    /// <summary>
    /// <see cref="RawHeaders"/> may be written again before the content as the reader delivers it. False if what is stored after them is something else: the extents of a sparse
    /// file, or the list of names in GNU's incremental directories.
    /// </summary>
    public bool CanRepeatHeaders { get; init; } = true;

    /// <summary>
    /// Every header block since the previous entry's content, exactly as stored, extension headers with their bodies included. The memory is the
    /// reader's: valid until it is asked for the next entry.
    /// </summary>
    public ReadOnlyMemory<byte> RawHeaders { get; init; }
}
