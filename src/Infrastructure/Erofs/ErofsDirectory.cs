using System.Buffers.Binary;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// The entries of one directory in the order of the image: its names and <c>.</c> and <c>..</c>, all in byte order. Blocks are filled
/// greedily; an entry never crosses one. Every block starts with its entries' headers, their names follow.
/// </summary>
internal readonly ref struct ErofsDirectory
{
    private readonly DirectoryEntries _children;
    private readonly int _dot;
    private readonly int _dotDot;

    public ErofsDirectory(DirectoryEntries children)
    {
        _children = children;
        _dot = ~children.BinarySearch("."u8);
        _dotDot = ~children.BinarySearch(".."u8) + 1;
    }

    private int Count => _children.Count + 2;

    /// <summary>Throws if a name is one that no directory can have.</summary>
    public void Check()
    {
        for (int i = 0; i < _children.Count; i++)
        {
            ReadOnlySpan<byte> name = _children.Name(i);
            if (name.Length is 0 or > ErofsFormat.MaxNameLength || name.ContainsAny((byte)'/', (byte)0) || name.SequenceEqual("."u8) || name.SequenceEqual(".."u8))
            {
                throw ErofsFormat.Unsupported($"'{PosixPath.FromBytes(name)}' ({name.Length} bytes) is no file name");
            }
        }
    }

    /// <summary>Bytes of the directory's data: full blocks, and what the last one uses.</summary>
    public long Measure()
    {
        long blocks = 0;
        int used = 0;
        for (int i = 0; i < Count; i++)
        {
            int size = ErofsFormat.DirentSize + NameLength(i);
            if (used + size > ErofsFormat.BlockSize)
            {
                blocks++;
                used = 0;
            }

            used += size;
        }

        return (blocks * ErofsFormat.BlockSize) + used;
    }

    /// <summary>Writes the entries from <paramref name="next"/> on that fit one block into zeroed bytes; returns the entry to go on with.</summary>
    public int WriteBlock(int next, Span<byte> block, ReadOnlySpan<DirentTarget> targets, uint self, uint parent)
    {
        int end = next;
        int used = 0;
        while (end < Count && used + ErofsFormat.DirentSize + NameLength(end) <= ErofsFormat.BlockSize)
        {
            used += ErofsFormat.DirentSize + NameLength(end++);
        }

        int nameOffset = (end - next) * ErofsFormat.DirentSize;
        for (int i = next; i < end; i++)
        {
            int child = ChildOf(i);
            DirentTarget target = child >= 0 ? targets[child] : new DirentTarget(i == _dot ? self : parent, FileKind.Directory);
            Span<byte> dirent = block.Slice((i - next) * ErofsFormat.DirentSize, ErofsFormat.DirentSize);
            BinaryPrimitives.WriteUInt64LittleEndian(dirent, target.Nid);
            BinaryPrimitives.WriteUInt16LittleEndian(dirent[8..], (ushort)nameOffset);
            dirent[10] = ErofsFormat.DirentType(target.Kind);
            ReadOnlySpan<byte> name = child >= 0 ? _children.Name(child) : i == _dot ? "."u8 : ".."u8;
            name.CopyTo(block[nameOffset..]);
            nameOffset += name.Length;
        }

        return end;
    }

    private int NameLength(int entry)
    {
        int child = ChildOf(entry);
        return child >= 0 ? _children.Name(child).Length : entry == _dot ? 1 : 2;
    }

    /// <summary>Index among the names, or negative for <c>.</c> and <c>..</c>.</summary>
    private int ChildOf(int entry)
    {
        if (entry == _dot || entry == _dotDot)
        {
            return -1;
        }

        return entry - (entry > _dot ? 1 : 0) - (entry > _dotDot ? 1 : 0);
    }
}

/// <summary>What a directory entry says of its inode.</summary>
internal readonly record struct DirentTarget(uint Nid, FileKind Kind);
