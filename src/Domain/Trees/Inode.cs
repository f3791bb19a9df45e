using System.Diagnostics.CodeAnalysis;
using Starlight.Domain.Content;

namespace Starlight.Domain.Trees;

/// <summary>
/// An inode of a merged tree. Immutable. Two names of one hard link are the same <see cref="Inode"/> object, so identity, not value, says
/// what is linked; a directory has exactly one name.
/// </summary>
/// <remarks>A file takes 72 bytes: what many files have alike is shared, and what few have lies apart.</remarks>
public sealed class Inode
{
    private readonly InodeAttributes _attributes;
    private InodeDetails? _details;

    public Inode() => _attributes = new InodeAttributes();

    /// <summary>An inode whose attributes others may have, too: none of them may be set on it.</summary>
    [SetsRequiredMembers]
    internal Inode(InodeAttributes attributes) => _attributes = attributes;

    /// <summary><see cref="FileKind.HardLink"/> never occurs here.</summary>
    public required FileKind Kind
    {
        get => _attributes.Kind;
        init => _attributes.Kind = value;
    }

    /// <summary>07777, no type bits.</summary>
    public required ushort Mode
    {
        get => _attributes.Mode;
        init => _attributes.Mode = value;
    }

    public uint Uid
    {
        get => _attributes.Uid;
        init => _attributes.Uid = value;
    }

    public uint Gid
    {
        get => _attributes.Gid;
        init => _attributes.Gid = value;
    }

    public long MtimeSeconds
    {
        get => _attributes.MtimeSeconds;
        init => _attributes.MtimeSeconds = value;
    }

    public uint MtimeNanoseconds
    {
        get => _attributes.MtimeNanoseconds;
        init => _attributes.MtimeNanoseconds = value;
    }

    /// <summary>Length of a regular file's content in bytes.</summary>
    public long Size { get; init; }

    /// <summary>sha256 of a regular file's content; default for other kinds.</summary>
    public Digest Content { get; init; }

    public PosixPath LinkTarget
    {
        get => _details?.LinkTarget ?? default;
        init
        {
            if (!value.IsEmpty)
            {
                Details.LinkTarget = value;
            }
        }
    }

    public uint DeviceMajor
    {
        get => _details?.DeviceMajor ?? 0;
        init
        {
            if (value != 0)
            {
                Details.DeviceMajor = value;
            }
        }
    }

    public uint DeviceMinor
    {
        get => _details?.DeviceMinor ?? 0;
        init
        {
            if (value != 0)
            {
                Details.DeviceMinor = value;
            }
        }
    }

    /// <summary>Sorted by name, each name once.</summary>
    public IReadOnlyList<Xattr> Xattrs
    {
        get => _details?.Xattrs ?? [];
        init
        {
            if (value.Count > 0)
            {
                Details.Xattrs = value;
            }
        }
    }

    /// <summary>The names in a directory; null for every other kind.</summary>
    public DirectoryEntries? Children
    {
        get => _details?.Children;
        init
        {
            if (value is not null)
            {
                Details.Children = value;
            }
        }
    }

    /// <summary>What others may share.</summary>
    internal InodeAttributes Attributes => _attributes;

    private InodeDetails Details => _details ??= new InodeDetails();

    private sealed class InodeDetails
    {
        public PosixPath LinkTarget { get; set; }

        public uint DeviceMajor { get; set; }

        public uint DeviceMinor { get; set; }

        public IReadOnlyList<Xattr>? Xattrs { get; set; }

        public DirectoryEntries? Children { get; set; }
    }
}

/// <summary>What most files of a package have alike. Not changed once an inode has it.</summary>
internal sealed record InodeAttributes
{
    public FileKind Kind { get; set; }

    public ushort Mode { get; set; }

    public uint Uid { get; set; }

    public uint Gid { get; set; }

    public long MtimeSeconds { get; set; }

    public uint MtimeNanoseconds { get; set; }
}

/// <summary>Attributes used lately, so that inodes that have the same share them. Not safe for concurrent use.</summary>
internal sealed class AttributePool
{
    /// <summary>Files of a few packages and kinds follow each other. A power of two. Arbitrary.</summary>
    private const int Size = 64;

    private readonly InodeAttributes?[] _recent = new InodeAttributes?[Size];

    /// <summary>The same, perhaps another object.</summary>
    public InodeAttributes Share(InodeAttributes attributes)
    {
        ref InodeAttributes? recent = ref _recent[attributes.GetHashCode() & (Size - 1)];
        if (!attributes.Equals(recent))
        {
            recent = attributes;
        }

        return recent;
    }
}
