using System.Buffers.Binary;
using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// Writes a merged tree as a filesystem image: an EROFS file system without file contents (docs/formats/filesystem-image.md). A regular file is a hole
/// of the right size with the two attributes that lead overlayfs to its content in an object store. The bytes depend on the tree alone.
/// <list type="number">
/// <item>collect: every inode once, hard links found, in image order: the children of a directory together, then below each in turn;</item>
/// <item>lay out: size and place of every inode, then the shared xattrs, then whole blocks of data;</item>
/// <item>write: fill one buffer, then uuid and checksum.</item>
/// </list>
/// </summary>
/// <remarks>Trees that cannot be stored fail with <c>FilesystemImage.TreeUnsupported</c>. Thread-safe.</remarks>
public sealed class ErofsWriter
{
    private readonly List<Node> _nodes = [];

    /// <summary>Node of every name, directory by directory (<see cref="Node.FirstName"/>), names in byte order.</summary>
    private readonly List<int> _targets = [];

    private readonly ErofsXattrTable _xattrs = new();
    private long _epochSeconds;
    private uint _epochNanoseconds;

    private ErofsWriter()
    {
    }

    public static byte[] Build(FileTree tree)
    {
        ErofsWriter writer = new();
        writer.Collect(tree.Root);
        writer.ChooseEpoch();
        return writer.WriteImage(writer.LayOut());
    }

    public static void Write(FileTree tree, Stream output) => output.Write(Build(tree));

    private void Collect(Inode root)
    {
        if (root.Kind != FileKind.Directory)
        {
            throw new ArgumentException("the root of a tree is a directory", nameof(root));
        }

        // Exactly as many as there are names: lists that grow by doubling would take twice the memory of a large tree.
        int names = CountNames(root);
        _nodes.EnsureCapacity(names + 1);
        _targets.EnsureCapacity(names);
        Dictionary<Inode, int> known = new(ReferenceEqualityComparer.Instance);
        Stack<int> directories = new();
        Add(root, parent: 0);
        directories.Push(0);
        while (directories.TryPop(out int directory))
        {
            DirectoryEntries children = _nodes[directory].Inode.Children ?? DirectoryEntries.Empty;
            new ErofsDirectory(children).Check();
            int firstName = _targets.Count;
            int firstNode = _nodes.Count;
            uint subdirectories = 0;
            foreach (Inode child in children.Inodes)
            {
                if (child.Kind == FileKind.Directory)
                {
                    subdirectories++;
                    _targets.Add(Add(child, directory));
                    continue;
                }

                ref int node = ref CollectionsMarshal.GetValueRefOrAddDefault(known, child, out bool exists);
                if (!exists)
                {
                    node = Add(child, directory);
                }

                CollectionsMarshal.AsSpan(_nodes)[node].Links++;
                _targets.Add(node);
            }

            ref Node self = ref CollectionsMarshal.AsSpan(_nodes)[directory];
            self.FirstName = firstName;
            self.Links = 2 + subdirectories;
            for (int node = _nodes.Count - 1; node >= firstNode; node--)
            {
                if (_nodes[node].Inode.Kind == FileKind.Directory)
                {
                    directories.Push(node);
                }
            }
        }
    }

    private static int CountNames(Inode root)
    {
        int count = 0;
        Stack<Inode> directories = new([root]);
        while (directories.TryPop(out Inode? directory))
        {
            DirectoryEntries children = directory.Children ?? DirectoryEntries.Empty;
            count += children.Count;
            foreach (Inode child in children.Inodes)
            {
                if (child.Kind == FileKind.Directory)
                {
                    directories.Push(child);
                }
            }
        }

        return count;
    }

    private int Add(Inode inode, int parent)
    {
        Check(inode);
        _xattrs.Count(inode);
        _nodes.Add(new Node { Inode = inode, Parent = parent });
        return _nodes.Count - 1;
    }

    private static void Check(Inode inode)
    {
        if (inode.Mode > 0xFFF || inode.MtimeNanoseconds > 999_999_999 || inode.Size < 0)
        {
            throw new ArgumentException($"mode {inode.Mode:X}, {inode.MtimeNanoseconds} ns or size {inode.Size} is out of range", nameof(inode));
        }

        if (inode.Size > ErofsFormat.MaxFileSize)
        {
            throw ErofsFormat.Unsupported($"a file has {inode.Size} bytes, more than {ErofsFormat.MaxFileSize}");
        }

        if (inode.Kind == FileKind.Symlink
            && (inode.LinkTarget.Length is 0 or > ErofsFormat.MaxSymlinkLength || inode.LinkTarget.Raw.AsSpan().ContainsAnyExceptInRange('\u0001', '\u00FF')))
        {
            throw ErofsFormat.Unsupported($"a symlink's target has {inode.LinkTarget.Length} bytes or a zero among them; 1 to {ErofsFormat.MaxSymlinkLength} are possible");
        }

        if (inode.DeviceMajor > 0xFFF || inode.DeviceMinor > 0xFFFFF)
        {
            throw ErofsFormat.Unsupported($"device number {inode.DeviceMajor},{inode.DeviceMinor} is beyond Linux's 12 and 20 bits");
        }
    }

    /// <summary>The most frequent mtime, the earliest of several: inodes that have it can do without one of their own.</summary>
    private void ChooseEpoch()
    {
        Dictionary<(long Seconds, uint Nanoseconds), int> counts = [];
        foreach (ref readonly Node node in CollectionsMarshal.AsSpan(_nodes))
        {
            CollectionsMarshal.GetValueRefOrAddDefault(counts, (node.Inode.MtimeSeconds, node.Inode.MtimeNanoseconds), out _)++;
        }

        int most = 0;
        foreach (((long Seconds, uint Nanoseconds) mtime, int count) in counts)
        {
            if (count > most || (count == most && mtime.CompareTo((_epochSeconds, _epochNanoseconds)) < 0))
            {
                most = count;
                (_epochSeconds, _epochNanoseconds) = mtime;
            }
        }
    }

    private Extents LayOut()
    {
        long position = ErofsFormat.FirstNid << ErofsFormat.SlotBits;
        long blocks = 0;
        Span<Node> nodes = CollectionsMarshal.AsSpan(_nodes);
        foreach (ref Node node in nodes)
        {
            Inode inode = node.Inode;
            bool hasContent = inode is { Kind: FileKind.Regular, Size: > 0 };
            node.Size = inode.Kind switch
            {
                FileKind.Regular => inode.Size,
                FileKind.Directory => new ErofsDirectory(inode.Children ?? DirectoryEntries.Empty).Measure(),
                FileKind.Symlink => inode.LinkTarget.Length,
                _ => 0,
            };
            node.IsCompact = inode.MtimeSeconds == _epochSeconds && inode.MtimeNanoseconds == _epochNanoseconds && inode.Uid <= ushort.MaxValue
                && inode.Gid <= ushort.MaxValue && node.Links <= ushort.MaxValue && node.Size <= uint.MaxValue;
            node.XattrSize = _xattrs.Measure(inode, hasContent);
            int extent = node.HeaderSize + node.XattrSize;
            if (hasContent)
            {
                node.Layout = ErofsFormat.LayoutChunked;
                extent += ErofsFormat.ChunkArraySize;
            }
            else if (inode.Kind is FileKind.Directory or FileKind.Symlink)
            {
                int tail = (int)(((node.Size - 1) & (ErofsFormat.BlockSize - 1)) + 1);
                node.Layout = extent + tail <= ErofsFormat.BlockSize ? ErofsFormat.LayoutInline : ErofsFormat.LayoutPlain;
                node.FirstBlock = blocks;
                blocks += (node.Size - 1) >> ErofsFormat.BlockBits;
                if (node.Layout == ErofsFormat.LayoutInline)
                {
                    extent += tail;

                    // The kernel wants the tail in one block, and for symlinks in the inode's own (fs/erofs/inode.c, erofs_fill_symlink).
                    if (position >> ErofsFormat.BlockBits != (position + extent - 1) >> ErofsFormat.BlockBits)
                    {
                        position = ErofsFormat.AlignToBlock(position);
                    }
                }
                else
                {
                    blocks++;
                }
            }

            node.Nid = (uint)(position >> ErofsFormat.SlotBits);
            position = (position + extent + ErofsFormat.SlotSize - 1) & ~(long)(ErofsFormat.SlotSize - 1);
            if (position > Array.MaxLength)
            {
                break;
            }
        }

        _xattrs.AreaOffset = (int)(position & (ErofsFormat.BlockSize - 1));
        long data = ErofsFormat.AlignToBlock(position + _xattrs.SharedAreaSize);
        long end = data + (blocks << ErofsFormat.BlockBits);
        return end <= Array.MaxLength ? new Extents(position, data, end) : throw ErofsFormat.Unsupported($"{_nodes.Count} inodes need more than 2 GiB of metadata");
    }

    private byte[] WriteImage(Extents extents)
    {
        byte[] image = new byte[extents.End];
        List<DirentTarget> targets = [];
        Span<Node> nodes = CollectionsMarshal.AsSpan(_nodes);
        for (int i = 0; i < nodes.Length; i++)
        {
            ref Node node = ref nodes[i];
            Span<byte> inode = image.AsSpan((int)(node.Nid << ErofsFormat.SlotBits));
            WriteInode(ref node, i, inode, extents);
            if (node.XattrSize > 0)
            {
                _xattrs.Write(node.Inode, node.Layout == ErofsFormat.LayoutChunked, inode.Slice(node.HeaderSize, node.XattrSize));
            }

            int tailOffset = node.HeaderSize + node.XattrSize;
            if (node.Layout == ErofsFormat.LayoutChunked)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(inode[tailOffset..], ErofsFormat.NullAddress);
            }
            else if (node.Inode.Kind == FileKind.Symlink)
            {
                Span<byte> target = node.Layout == ErofsFormat.LayoutInline ? inode[tailOffset..] : image.AsSpan((int)extents.BlockOffset(node.FirstBlock));
                Encoding.Latin1.GetBytes(node.Inode.LinkTarget.Raw, target);
            }
            else if (node.Inode.Kind == FileKind.Directory)
            {
                DirectoryEntries children = node.Inode.Children ?? DirectoryEntries.Empty;
                CollectionsMarshal.SetCount(targets, children.Count);
                for (int name = 0; name < children.Count; name++)
                {
                    ref Node child = ref nodes[_targets[node.FirstName + name]];
                    targets[name] = new DirentTarget(child.Nid, child.Inode.Kind);
                }

                WriteDirectory(ref node, nodes[node.Parent].Nid, children, CollectionsMarshal.AsSpan(targets), image, extents);
            }
        }

        _xattrs.WriteShared(image.AsSpan((int)extents.Shared, _xattrs.SharedAreaSize));
        WriteSuper(image, extents);
        return image;
    }

    private static void WriteDirectory(ref Node node, uint parent, DirectoryEntries children, ReadOnlySpan<DirentTarget> targets, byte[] image, Extents extents)
    {
        ErofsDirectory directory = new(children);
        long wholeBlocks = node.Layout == ErofsFormat.LayoutInline ? (node.Size - 1) >> ErofsFormat.BlockBits : long.MaxValue;
        long position = extents.BlockOffset(node.FirstBlock);
        int next = 0;
        for (long written = 0; next < children.Count + 2; written++, position += ErofsFormat.BlockSize)
        {
            if (written == wholeBlocks)
            {
                position = (node.Nid << ErofsFormat.SlotBits) + node.HeaderSize + node.XattrSize;
            }

            next = directory.WriteBlock(next, image.AsSpan((int)position), targets, node.Nid, parent);
        }
    }

    private void WriteInode(ref Node node, int index, Span<byte> destination, Extents extents)
    {
        Inode inode = node.Inode;
        uint union = inode.Kind switch
        {
            FileKind.Regular when node.Layout == ErofsFormat.LayoutChunked => ErofsFormat.ChunkFormat,
            FileKind.Directory or FileKind.Symlink when node.HasBlocks => (uint)(extents.BlockOffset(node.FirstBlock) >> ErofsFormat.BlockBits),

            // The kernel's new_encode_dev.
            FileKind.CharacterDevice or FileKind.BlockDevice => (inode.DeviceMinor & 0xFF) | (inode.DeviceMajor << 8) | ((inode.DeviceMinor & ~0xFFu) << 12),
            _ => 0,
        };
        int xattrCount = node.XattrSize == 0 ? 0 : ((node.XattrSize - ErofsFormat.XattrHeaderSize) / 4) + 1;
        BinaryPrimitives.WriteUInt16LittleEndian(destination, (ushort)((node.IsCompact ? 0 : 1) | (node.Layout << 1)));
        BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], (ushort)xattrCount);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], (ushort)(ErofsFormat.TypeBits(inode.Kind) | inode.Mode));
        if (node.IsCompact)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)node.Links);
            BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], (uint)node.Size);
            BinaryPrimitives.WriteUInt32LittleEndian(destination[16..], union);
            BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], (uint)index + 1);
            BinaryPrimitives.WriteUInt16LittleEndian(destination[24..], (ushort)inode.Uid);
            BinaryPrimitives.WriteUInt16LittleEndian(destination[26..], (ushort)inode.Gid);
            return;
        }

        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], (ulong)node.Size);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[16..], union);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], (uint)index + 1);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[24..], inode.Uid);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[28..], inode.Gid);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], inode.MtimeSeconds);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[40..], inode.MtimeNanoseconds);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[44..], node.Links);
    }

    private void WriteSuper(byte[] image, Extents extents)
    {
        Span<byte> super = image.AsSpan(ErofsFormat.SuperOffset, ErofsFormat.SuperSize);
        BinaryPrimitives.WriteUInt32LittleEndian(super, ErofsFormat.SuperMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(super[8..], ErofsFormat.CompatibleFeatures);
        super[12] = ErofsFormat.BlockBits;
        BinaryPrimitives.WriteUInt16LittleEndian(super[14..], (ushort)_nodes[0].Nid);
        BinaryPrimitives.WriteUInt64LittleEndian(super[16..], (ulong)_nodes.Count);
        BinaryPrimitives.WriteInt64LittleEndian(super[24..], _epochSeconds);
        BinaryPrimitives.WriteUInt32LittleEndian(super[32..], _epochNanoseconds);
        BinaryPrimitives.WriteUInt32LittleEndian(super[36..], (uint)(extents.End >> ErofsFormat.BlockBits));
        if (_xattrs.SharedAreaSize > 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(super[44..], (uint)(extents.Shared >> ErofsFormat.BlockBits));
        }

        BinaryPrimitives.WriteUInt32LittleEndian(super[80..], ErofsFormat.IncompatibleFeatures);

        // A copied-up file keeps its inode number over a remount only if the lower file system has a uuid (fs/overlayfs/util.c, ovl_can_decode_fh).
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(image, digest);
        Span<byte> uuid = super.Slice(48, 16);
        digest[..16].CopyTo(uuid);
        uuid[6] = (byte)((uuid[6] & 0x0F) | 0x80);
        uuid[8] = (byte)((uuid[8] & 0x3F) | 0x80);
        BinaryPrimitives.WriteUInt32LittleEndian(super[4..], Checksum(image));
    }

    /// <summary>crc32c of the first block from the super block on, its checksum field taken as zero, not inverted at the end.</summary>
    internal static uint Checksum(ReadOnlySpan<byte> image)
    {
        Debug.Assert(image.Length >= ErofsFormat.BlockSize, "an image has at least one block");
        uint crc = uint.MaxValue;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(image[ErofsFormat.SuperOffset..ErofsFormat.BlockSize]);
        for (int i = 0; i < words.Length; i++)
        {
            ulong word = BitConverter.IsLittleEndian ? words[i] : BinaryPrimitives.ReverseEndianness(words[i]);
            crc = BitOperations.Crc32C(crc, i == 0 ? word & uint.MaxValue : word);
        }

        return crc;
    }

    /// <summary>Byte offsets: inodes before <see cref="Shared"/>, shared xattrs before <see cref="Data"/>, whole blocks of data before <see cref="End"/>.</summary>
    private readonly record struct Extents(long Shared, long Data, long End)
    {
        public long BlockOffset(long block) => Data + (block << ErofsFormat.BlockBits);
    }

    private struct Node
    {
        public Inode Inode;
        public int Parent;
        public int FirstName;
        public int XattrSize;
        public int Layout;
        public uint Links;
        public uint Nid;
        public long Size;

        /// <summary>Counted from the beginning of the data blocks.</summary>
        public long FirstBlock;
        public bool IsCompact;

        public readonly int HeaderSize => IsCompact ? ErofsFormat.CompactSize : ErofsFormat.ExtendedSize;

        /// <summary>Whether any data are outside the inode.</summary>
        public readonly bool HasBlocks => Layout == ErofsFormat.LayoutPlain || Size > ErofsFormat.BlockSize;
    }
}
