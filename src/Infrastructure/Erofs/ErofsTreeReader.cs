using System.Buffers.Binary;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>Reads an image's whole tree. One use.</summary>
internal sealed class ErofsTreeReader(ErofsImage image)
{
    private readonly ErofsVisits _visits = new(image);

    /// <summary>Inodes that promise more than one name, with the number of names still to come.</summary>
    private readonly Dictionary<ulong, (Inode Inode, uint Left)> _linked = [];

    private readonly Dictionary<uint, Xattr> _sharedXattrs = [];

    public FileTree Read()
    {
        ErofsInode root = _visits.ReadRoot();
        Frame frame = new(new ErofsNameCursor(image, root, root.Nid), []);
        Stack<Frame> parents = new();
        while (true)
        {
            if (frame.Cursor.TryNext(out ReadOnlySpan<byte> rawName, out ulong nid, out byte type))
            {
                if (!_visits.TryEnter(nid, type, out ErofsInode inode))
                {
                    frame.Add(rawName, NextLink(nid));
                }
                else if (inode.Kind == FileKind.Directory)
                {
                    ErofsVisits.CheckDepth(parents.Count + 1);
                    parents.Push(frame);
                    frame = new Frame(new ErofsNameCursor(image, inode, frame.Cursor.Directory.Nid), rawName.ToArray());
                }
                else
                {
                    frame.Add(rawName, Leaf(inode));
                }

                continue;
            }

            Inode directory = Directory(frame);
            if (!parents.TryPop(out Frame? parent))
            {
                CheckLinks();
                return new FileTree(directory);
            }

            parent.Add(frame.Name, directory);
            frame = parent;
        }
    }

    private Inode Directory(Frame frame)
    {
        ErofsInode raw = frame.Cursor.Directory;
        if (raw.Links != 2 + frame.Subdirectories)
        {
            throw ErofsFormat.Malformed($"directory {raw.Nid} has {frame.Subdirectories} directories and {raw.Links} links");
        }

        return Create(raw, default, frame.Children.ToEntries());
    }

    private Inode Leaf(in ErofsInode raw)
    {
        Inode inode = Create(raw, raw.Kind == FileKind.Symlink ? image.ReadSymlink(raw) : default, children: null);
        if (raw.Links > 1)
        {
            _linked.Add(raw.Nid, (inode, raw.Links - 1));
        }

        return inode;
    }

    private Inode Create(in ErofsInode raw, PosixPath target, DirectoryEntries? children)
    {
        bool isDevice = raw.Kind is FileKind.CharacterDevice or FileKind.BlockDevice;
        bool isRegular = raw.Kind == FileKind.Regular;
        return new Inode
        {
            Kind = raw.Kind,
            Mode = raw.Mode,
            Uid = raw.Uid,
            Gid = raw.Gid,
            MtimeSeconds = raw.MtimeSeconds,
            MtimeNanoseconds = raw.MtimeNanoseconds,
            Size = isRegular ? raw.Size : 0,
            Content = !isRegular ? default : raw.Size == 0 ? Digest.Empty : image.ReadContent(raw),
            LinkTarget = target,

            // The kernel's new_decode_dev.
            DeviceMajor = isDevice ? (raw.Union & 0xFFF00) >> 8 : 0,
            DeviceMinor = isDevice ? (raw.Union & 0xFF) | ((raw.Union >> 12) & 0xFFF00) : 0,
            Xattrs = raw.XattrSize == 0 ? [] : ReadXattrs(raw),
            Children = children,
        };
    }

    private Inode NextLink(ulong nid)
    {
        if (!_linked.TryGetValue(nid, out (Inode Inode, uint Left) linked) || linked.Left == 0)
        {
            throw ErofsFormat.Malformed($"inode {nid} has more names than it says");
        }

        _linked[nid] = (linked.Inode, linked.Left - 1);
        return linked.Inode;
    }

    private void CheckLinks()
    {
        _visits.CheckComplete();
        foreach ((ulong nid, (_, uint left)) in _linked)
        {
            if (left > 0)
            {
                throw ErofsFormat.Malformed($"inode {nid} has fewer names than it says");
            }
        }
    }

    private IReadOnlyList<Xattr> ReadXattrs(in ErofsInode inode)
    {
        ReadOnlySpan<byte> body = image.Bytes.Span.Slice(inode.XattrPosition, inode.XattrSize);
        int sharedCount = body[4];
        int position = ErofsFormat.XattrHeaderSize + (4 * sharedCount);
        bool hasContent = inode is { Kind: FileKind.Regular, Size: > 0 };
        if (body[..4].ContainsAnyExcept((byte)0) || body[5..ErofsFormat.XattrHeaderSize].ContainsAnyExcept((byte)0)
            || body.Length == ErofsFormat.XattrHeaderSize || position > body.Length)
        {
            throw ErofsFormat.Malformed($"inode {inode.Nid} has extended attributes that cannot be");
        }

        List<Xattr> xattrs = [];
        for (int i = 0; i < sharedCount; i++)
        {
            xattrs.Add(ReadShared(BinaryPrimitives.ReadUInt32LittleEndian(body[(ErofsFormat.XattrHeaderSize + (4 * i))..])));
        }

        position += hasContent ? ErofsXattrTable.OverlaySize : 0;
        while (position < body.Length)
        {
            xattrs.Add(ReadEntry(body[position..], out int size));
            position += size;
        }

        xattrs.Sort(static (left, right) => left.Name.CompareTo(right.Name));
        for (int i = 1; i < xattrs.Count; i++)
        {
            if (xattrs[i - 1].Name == xattrs[i].Name)
            {
                throw ErofsFormat.Malformed($"inode {inode.Nid} has an extended attribute twice");
            }
        }

        return xattrs.Count == 0 ? [] : xattrs;
    }

    private Xattr ReadShared(uint id)
    {
        if (!_sharedXattrs.TryGetValue(id, out Xattr xattr))
        {
            long position = image.SharedStart + (4L * id);
            if (position >= image.Bytes.Length)
            {
                throw ErofsFormat.Malformed($"there is no shared extended attribute {id}");
            }

            xattr = ReadEntry(image.Bytes.Span[(int)position..], out int size);
            _visits.Claim(size);
            _sharedXattrs.Add(id, xattr);
        }

        return xattr;
    }

    private static Xattr ReadEntry(ReadOnlySpan<byte> bytes, out int size)
    {
        int nameLength = bytes.IsEmpty ? 0 : bytes[0];
        int valueLength = bytes.Length < ErofsFormat.XattrEntryHeaderSize ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]);
        size = ErofsFormat.XattrEntrySize(nameLength, valueLength);
        if (bytes.Length < ErofsFormat.XattrEntryHeaderSize || size > bytes.Length || ErofsFormat.XattrPrefix(bytes[1]) is not { } prefix)
        {
            throw ErofsFormat.Malformed("an extended attribute does not fit");
        }

        PosixPath suffix = PosixPath.FromBytes(bytes.Slice(ErofsFormat.XattrEntryHeaderSize, nameLength));
        string name = prefix + suffix.Raw;
        if (!ErofsFormat.TrySplitXattrName(name, out byte index, out _) || index != bytes[1] || name.Contains('\0', StringComparison.Ordinal)
            || name.StartsWith("trusted.overlay.", StringComparison.Ordinal))
        {
            throw ErofsFormat.Malformed("an extended attribute has a name that cannot be");
        }

        return new Xattr(PosixPath.FromRaw(name), bytes.Slice(ErofsFormat.XattrEntryHeaderSize + nameLength, valueLength).ToArray());
    }

    /// <summary>A directory on the way from the root.</summary>
    private sealed class Frame(ErofsNameCursor cursor, byte[] name)
    {
        /// <summary>A field: the cursor is a struct that moves.</summary>
        public ErofsNameCursor Cursor = cursor;

        public byte[] Name => name;

        public DirectoryEntries.Builder Children { get; } = new();

        public uint Subdirectories { get; private set; }

        public void Add(ReadOnlySpan<byte> child, Inode inode)
        {
            Children.Add(child, inode);
            Subdirectories += inode.Kind == FileKind.Directory ? 1u : 0;
        }
    }
}
