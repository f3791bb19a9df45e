using System.Buffers.Binary;
using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// Decides which xattrs are kept once for all inodes (the shared area) and which stand behind their inode, and writes both. An
/// xattr is shared if its inodes save more than the entry and their references cost, or if it is long, so that inodes stay close together.
/// overlayfs's own two attributes are always inline: the kernel needs them at every lookup of a file, and rounding to 32 bytes eats the gain.
/// </summary>
internal sealed class ErofsXattrTable
{
    /// <summary>Longer entries go to the shared area even if only one inode has them. Arbitrary: a quarter of a block.</summary>
    private const int LongEntry = 1024;

    /// <summary>
    /// <c>trusted.overlay.metacopy</c> with an empty value, then <c>trusted.overlay.redirect</c> up to its value: <c>/ab/cdef…</c>, 66 bytes and
    /// 2 of padding, follow. Bytes 16 and 20 before each name are the entry headers.
    /// </summary>
    private static readonly byte[] OverlayTemplate =
        [16, 4, 0, 0, .. "overlay.metacopy"u8, 16, 4, 66, 0, .. "overlay.redirect"u8];

    private readonly Dictionary<Xattr, Entry> _entries = new(XattrComparer.Instance);
    private readonly List<Entry> _shared = [];

    /// <summary>The two entries that tell overlayfs where a regular file's content is.</summary>
    public const int OverlaySize = 20 + 88;

    public static ReadOnlySpan<byte> OverlayPrefix => OverlayTemplate;

    public int SharedAreaSize { get; private set; }

    /// <summary>Where the area begins in its first block. To be set before the first <see cref="Write"/>; ids count words from the block.</summary>
    public int AreaOffset { get; set; }

    /// <summary>First pass, once for each inode.</summary>
    public void Count(Inode inode)
    {
        foreach (Xattr xattr in inode.Xattrs)
        {
            if (!_entries.TryGetValue(xattr, out Entry? entry))
            {
                entry = Check(xattr);
                _entries.Add(xattr, entry);
            }

            entry.Uses++;
        }
    }

    /// <summary>Second pass, once for each inode in the order of the image: the size of its xattr body, header included; 0 without xattrs.</summary>
    public int Measure(Inode inode, bool hasContent)
    {
        if (inode.Xattrs.Count == 0)
        {
            return hasContent ? ErofsFormat.XattrHeaderSize + OverlaySize : 0;
        }

        long size = ErofsFormat.XattrHeaderSize + (hasContent ? OverlaySize : 0);
        int shared = 0;
        foreach (Xattr xattr in inode.Xattrs)
        {
            Entry entry = _entries[xattr];
            if (entry.IsShared && shared < ErofsFormat.MaxSharedXattrs)
            {
                shared++;
                size += 4;
                Place(entry);
            }
            else
            {
                size += entry.Size;
            }
        }

        return size <= ErofsFormat.MaxXattrBody
            ? (int)size
            : throw ErofsFormat.Unsupported($"{inode.Xattrs.Count} extended attributes on one file are more than the kernel reads");
    }

    /// <summary>Third pass: writes an inode's xattr body; <paramref name="body"/> is zeroed and has the measured size.</summary>
    public void Write(Inode inode, bool hasContent, Span<byte> body)
    {
        int shared = 0;
        foreach (Xattr xattr in inode.Xattrs)
        {
            if (_entries[xattr].IsShared && shared < ErofsFormat.MaxSharedXattrs)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(body[(ErofsFormat.XattrHeaderSize + (4 * shared))..], (uint)(AreaOffset + _entries[xattr].Position) / 4);
                shared++;
            }
        }

        body[4] = (byte)shared;
        Span<byte> rest = body[(ErofsFormat.XattrHeaderSize + (4 * shared))..];
        if (hasContent)
        {
            WriteOverlay(inode, rest);
            rest = rest[OverlaySize..];
        }

        int left = shared;
        foreach (Xattr xattr in inode.Xattrs)
        {
            Entry entry = _entries[xattr];
            if (entry.IsShared && left > 0)
            {
                left--;
                continue;
            }

            entry.Write(rest);
            rest = rest[entry.Size..];
        }
    }

    /// <summary>Writes the shared area into zeroed bytes of <see cref="SharedAreaSize"/>.</summary>
    public void WriteShared(Span<byte> area)
    {
        foreach (Entry entry in _shared)
        {
            entry.Write(area[entry.Position..]);
        }
    }

    private static void WriteOverlay(Inode inode, Span<byte> entries)
    {
        OverlayTemplate.CopyTo(entries);
        Span<byte> digest = stackalloc byte[32];
        inode.Content.CopyTo(digest);
        Span<byte> redirect = entries[OverlayTemplate.Length..];
        redirect[0] = (byte)'/';
        Convert.TryToHexStringLower(digest[..1], redirect[1..], out _);
        redirect[3] = (byte)'/';
        Convert.TryToHexStringLower(digest[1..], redirect[4..], out _);
    }

    private static Entry Check(Xattr xattr)
    {
        string name = xattr.Name.Raw;
        if (!ErofsFormat.TrySplitXattrName(name, out byte index, out int prefixLength) || name.StartsWith("trusted.overlay.", StringComparison.Ordinal))
        {
            throw ErofsFormat.Unsupported($"extended attribute '{xattr.Name}' has a namespace that cannot be stored");
        }

        if (name.Length > ErofsFormat.MaxNameLength || name.AsSpan().ContainsAnyExceptInRange('\u0001', '\u00FF') || xattr.Value.Length > ErofsFormat.MaxXattrValue)
        {
            throw ErofsFormat.Unsupported($"extended attribute '{xattr.Name}' has a name or value that Linux does not take");
        }

        return new Entry(name[prefixLength..], index, xattr.Value);
    }

    private void Place(Entry entry)
    {
        if (entry.Position < 0)
        {
            entry.Position = SharedAreaSize;
            SharedAreaSize = checked(SharedAreaSize + entry.Size);
            _shared.Add(entry);
        }
    }

    private sealed class Entry(string name, byte index, ReadOnlyMemory<byte> value)
    {
        public int Size { get; } = ErofsFormat.XattrEntrySize(name.Length, value.Length);

        /// <summary>Number of inodes.</summary>
        public long Uses { get; set; }

        /// <summary>Offset in the shared area; negative until a first inode refers to it.</summary>
        public int Position { get; set; } = -1;

        public bool IsShared => Size >= LongEntry || Uses * Size > Size + (4 * Uses);

        public void Write(Span<byte> destination)
        {
            destination[0] = (byte)name.Length;
            destination[1] = index;
            BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], (ushort)value.Length);
            Encoding.Latin1.GetBytes(name, destination[ErofsFormat.XattrEntryHeaderSize..]);
            value.Span.CopyTo(destination[(ErofsFormat.XattrEntryHeaderSize + name.Length)..]);
        }
    }

    private sealed class XattrComparer : IEqualityComparer<Xattr>
    {
        public static readonly XattrComparer Instance = new();

        public bool Equals(Xattr x, Xattr y) => x.Name == y.Name && x.Value.Span.SequenceEqual(y.Value.Span);

        public int GetHashCode(Xattr obj) => (obj.Name.GetHashCode() * 31) + SeededHash.Of(obj.Value.Span);
    }
}
