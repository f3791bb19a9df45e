using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>An inode of an image that is being written. 40 bytes.</summary>
internal struct ErofsNode
{
    public Inode Inode;
    public int Parent;

    /// <summary>Of a directory: the first of its names in <see cref="ErofsNodes.Targets"/>.</summary>
    public int FirstName;

    /// <summary>Of a directory: bytes of its data.</summary>
    public int DirectorySize;
    public uint Links;
    public uint Nid;

    /// <summary>Counted from the beginning of the data blocks.</summary>
    public int FirstBlock;
    public int XattrSize;
    public byte Layout;
    public bool IsCompact;

    public readonly int HeaderSize => IsCompact ? ErofsFormat.CompactSize : ErofsFormat.ExtendedSize;

    public readonly long Size => Inode.Kind switch
    {
        FileKind.Regular => Inode.Size,
        FileKind.Directory => DirectorySize,
        FileKind.Symlink => Inode.LinkTarget.Length,
        _ => 0,
    };

    /// <summary>Whether any data are outside the inode.</summary>
    public readonly bool HasBlocks => Layout == ErofsFormat.LayoutPlain || Size > ErofsFormat.BlockSize;
}

/// <summary>Byte offsets: inodes before <see cref="Shared"/>, shared xattrs before <see cref="Data"/>, whole blocks of data before <see cref="End"/>.</summary>
internal readonly record struct ErofsExtents(long Shared, long Data, long End)
{
    public long BlockOffset(long block) => Data + (block << ErofsFormat.BlockBits);
}

/// <summary>Every inode of a tree once, hard links found, in image order, and where each goes: the first two steps of <see cref="ErofsWriter"/>.</summary>
internal sealed class ErofsNodes
{
    private readonly List<ErofsNode> _nodes = [];

    /// <summary>Node of every name, directory by directory (<see cref="ErofsNode.FirstName"/>), names in byte order.</summary>
    private readonly List<int> _targets = [];

    private long _epochSeconds;
    private uint _epochNanoseconds;

    public ErofsNodes(Inode root)
    {
        Collect(root);
        ChooseEpoch();
        Extents = LayOut();
    }

    public Span<ErofsNode> Nodes => CollectionsMarshal.AsSpan(_nodes);

    public ReadOnlySpan<int> Targets => CollectionsMarshal.AsSpan(_targets);

    public ErofsXattrTable Xattrs { get; } = new();

    public ErofsExtents Extents { get; }

    /// <summary>The mtime of inodes that have none of their own.</summary>
    public (long Seconds, uint Nanoseconds) Epoch => (_epochSeconds, _epochNanoseconds);

    private void Collect(Inode root)
    {
        if (root.Kind != FileKind.Directory)
        {
            throw new ArgumentException("the root of a tree is a directory", nameof(root));
        }

        // Exactly as many as there are names: lists that grow by doubling would take twice the memory of a large tree.
        int names = CountNames(root);
        if (names > Array.MaxLength / ErofsFormat.DirentSize)
        {
            throw ErofsFormat.Unsupported($"{names} names need more than 2 GiB of metadata");
        }

        _nodes.EnsureCapacity(names + 1);
        _targets.EnsureCapacity(names);
        InodeNumbers known = new(names);
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

                int node = known.FindOrAdd(child, Nodes);
                if (node == _nodes.Count)
                {
                    Add(child, directory);
                }

                Nodes[node].Links++;
                _targets.Add(node);
            }

            ref ErofsNode self = ref Nodes[directory];
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
        Xattrs.Count(inode);
        _nodes.Add(new ErofsNode { Inode = inode, Parent = parent });
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
        foreach (ref readonly ErofsNode node in Nodes)
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

    private ErofsExtents LayOut()
    {
        long position = ErofsFormat.FirstNid << ErofsFormat.SlotBits;
        long blocks = 0;
        Span<ErofsNode> nodes = Nodes;
        foreach (ref ErofsNode node in nodes)
        {
            Inode inode = node.Inode;
            bool hasContent = inode is { Kind: FileKind.Regular, Size: > 0 };
            if (inode.Kind == FileKind.Directory)
            {
                // Names of that length in all would not fit the image.
                node.DirectorySize = (int)Math.Min(Array.MaxLength, new ErofsDirectory(inode.Children ?? DirectoryEntries.Empty).Measure());
            }

            long size = node.Size;
            node.IsCompact = inode.MtimeSeconds == _epochSeconds && inode.MtimeNanoseconds == _epochNanoseconds && inode.Uid <= ushort.MaxValue
                && inode.Gid <= ushort.MaxValue && node.Links <= ushort.MaxValue && size <= uint.MaxValue;
            node.XattrSize = Xattrs.Measure(inode, hasContent);
            int extent = node.HeaderSize + node.XattrSize;
            if (hasContent)
            {
                node.Layout = ErofsFormat.LayoutChunked;
                extent += ErofsFormat.ChunkArraySize;
            }
            else if (inode.Kind is FileKind.Directory or FileKind.Symlink)
            {
                int tail = (int)(((size - 1) & (ErofsFormat.BlockSize - 1)) + 1);
                node.Layout = (byte)(extent + tail <= ErofsFormat.BlockSize ? ErofsFormat.LayoutInline : ErofsFormat.LayoutPlain);
                node.FirstBlock = (int)Math.Min(int.MaxValue, blocks);
                blocks += (size - 1) >> ErofsFormat.BlockBits;
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

        Xattrs.AreaOffset = (int)(position & (ErofsFormat.BlockSize - 1));
        long data = ErofsFormat.AlignToBlock(position + Xattrs.SharedAreaSize);
        long end = data + (blocks << ErofsFormat.BlockBits);
        return end <= Array.MaxLength ? new ErofsExtents(position, data, end) : throw ErofsFormat.Unsupported($"{_nodes.Count} inodes need more than 2 GiB of metadata");
    }

    /// <summary>Numbers of the inodes seen, found by the object: 6 to 11 bytes each, as most have one name only and are looked up in vain.</summary>
    private readonly struct InodeNumbers
    {
        /// <summary>Open addressing with linear probing: number of a node plus one, 0 is free.</summary>
        private readonly int[] _slots;

        /// <param name="names">So many are added at most.</param>
        public InodeNumbers(int names) => _slots = new int[(int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Min(1 << 29, names) + (uint)(names / 3) + 4)];

        /// <summary>The node of an inode; the number of the next node if it has none, which is then noted.</summary>
        public int FindOrAdd(Inode inode, ReadOnlySpan<ErofsNode> nodes)
        {
            int mask = _slots.Length - 1;
            for (int slot = RuntimeHelpers.GetHashCode(inode) & mask; ; slot = (slot + 1) & mask)
            {
                int node = _slots[slot] - 1;
                if (node < 0)
                {
                    _slots[slot] = nodes.Length + 1;
                    return nodes.Length;
                }

                if (ReferenceEquals(nodes[node].Inode, inode))
                {
                    return node;
                }
            }
        }
    }
}
