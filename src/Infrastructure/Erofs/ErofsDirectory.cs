using System.Buffers.Binary;
using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// The entries of one directory in the order of the image: its names and <c>.</c> and <c>..</c>, all in byte order. Blocks are filled
/// greedily; an entry never crosses one. Every block starts with its entries' headers, their names follow.
/// </summary>
internal readonly ref struct ErofsDirectory
{
    private static readonly PosixPath Dot = PosixPath.FromRaw(".");
    private static readonly PosixPath DotDot = PosixPath.FromRaw("..");

    private readonly ReadOnlySpan<PosixPath> _names;
    private readonly int _dot;
    private readonly int _dotDot;

    public ErofsDirectory(DirectoryEntries children)
    {
        _names = children.Names;
        _dot = ~_names.BinarySearch(Dot);
        _dotDot = ~_names.BinarySearch(DotDot) + 1;
    }

    private int Count => _names.Length + 2;

    /// <summary>Throws if a name is one that no directory can have.</summary>
    public void Check()
    {
        foreach (PosixPath name in _names)
        {
            ReadOnlySpan<char> raw = name.Raw;
            if (raw.Length is 0 or > ErofsFormat.MaxNameLength || raw.Contains('/') || raw.ContainsAnyExceptInRange('\u0001', '\u00FF') || raw is "." or "..")
            {
                throw ErofsFormat.Unsupported($"'{name}' ({raw.Length} bytes) is no file name");
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
            nameOffset += Encoding.Latin1.GetBytes(child >= 0 ? _names[child].Raw : i == _dot ? "." : "..", block[nameOffset..]);
        }

        return end;
    }

    private int NameLength(int entry)
    {
        int child = ChildOf(entry);
        return child >= 0 ? _names[child].Length : entry == _dot ? 1 : 2;
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
