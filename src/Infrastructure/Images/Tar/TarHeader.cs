using System.Buffers.Binary;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.Tar;

/// <summary>
/// One 512-byte tar header block.
/// <code>
/// offset  0       100   108   116   124   136    148    156  157      257   263     265    297    329      337      345
///        | name  |mode |uid  |gid  |size |mtime |chksum|type|linkname|magic|version|uname |gname |devmajor|devminor|prefix (155)
/// GNU "S":                                                    345 atime(12) ctime(12) … 386 sparse 4×(12+12)  482 more  483 realsize(12)
/// star  :                                                     345 prefix(131) atime(12) ctime(12) … 508 "tar\0"
/// </code>
/// Numbers are octal text or, with the top bit of the first byte set, big-endian two's complement ("base-256").
/// POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"; libarchive tar(5).
/// </summary>
internal readonly ref struct TarHeader(ReadOnlySpan<byte> block)
{
    public const int BlockSize = 512;

    /// <summary>Extents in a GNU sparse header, and in each extension block after it.</summary>
    public const int OldSparseExtents = 4;
    public const int OldSparseExtensionExtents = 21;

    private readonly ReadOnlySpan<byte> _block = block;

    public byte TypeFlag => _block[156];

    public ReadOnlySpan<byte> Name => Text(_block[..100]);

    public ReadOnlySpan<byte> LinkName => Text(_block.Slice(157, 100));

    public long Mode => Number(_block.Slice(100, 8), "mode");

    public long Uid => Number(_block.Slice(108, 8), "owner");

    public long Gid => Number(_block.Slice(116, 8), "group");

    public long Size => Number(_block.Slice(124, 12), "size");

    public long Mtime => Number(_block.Slice(136, 12), "modification time");

    public ReadOnlySpan<byte> UserName => IsV7 ? default : Text(_block.Slice(265, 32));

    public ReadOnlySpan<byte> GroupName => IsV7 ? default : Text(_block.Slice(297, 32));

    public long DeviceMajor => IsV7 ? 0 : Number(_block.Slice(329, 8), "device number");

    public long DeviceMinor => IsV7 ? 0 : Number(_block.Slice(337, 8), "device number");

    /// <summary>The first part of a name too long for its field. GNU headers have times in its place, star's is shorter.</summary>
    public ReadOnlySpan<byte> Prefix => !IsUstar ? default : Text(_block.Slice(345, IsStar ? 131 : 155));

    public bool IsGnu => _block.Slice(257, 8).SequenceEqual("ustar  \0"u8);

    /// <summary>POSIX and star. Some writers leave the version blank; the magic is what counts.</summary>
    public bool IsUstar => _block.Slice(257, 6).SequenceEqual("ustar\0"u8);

    public bool IsZero => !_block.ContainsAnyExcept((byte)0);

    /// <summary>GNU sparse: length of the expanded file.</summary>
    public long OldSparseRealSize => Number(_block.Slice(483, 12), "sparse size");

    public bool OldSparseHasExtension => _block[482] != 0;

    /// <summary>GNU sparse: the extent list in the header (4 × 24 bytes).</summary>
    public ReadOnlySpan<byte> OldSparseExtentList => _block.Slice(386, OldSparseExtents * 24);

    private bool IsStar => _block[508..].SequenceEqual("tar\0"u8);

    private bool IsV7 => !IsUstar && !IsGnu;

    /// <summary>
    /// True if the checksum field matches: the sum of all bytes with the field itself taken as spaces. Historic writers summed signed bytes; both are accepted, as by
    /// GNU tar and Go's archive/tar.
    /// </summary>
    public bool HasValidChecksum()
    {
        if (!TryParseOctal(_block.Slice(148, 8), out long stored))
        {
            return false;
        }

        long unsigned = 0;
        long signed = 0;
        for (int i = 0; i < BlockSize; i++)
        {
            byte value = i is >= 148 and < 156 ? (byte)' ' : _block[i];
            unsigned += value;
            signed += (sbyte)value;
        }

        return stored == unsigned || stored == signed;
    }

    /// <summary>Reads a number field in either encoding. An empty field is 0.</summary>
    public static long Number(ReadOnlySpan<byte> field, string what)
    {
        if ((field[0] & 0x80) != 0)
        {
            return Base256(field, what);
        }

        return TryParseOctal(field, out long value) ? value : throw LayerFailures.Malformed($"a tar header has a {what} that is not a number");
    }

    private static long Base256(ReadOnlySpan<byte> field, string what)
    {
        // bit 7 of the first byte marks the encoding, bit 6 is the sign; the rest is two's complement
        bool negative = (field[0] & 0x40) != 0;
        byte fill = negative ? (byte)0xff : (byte)0;
        Span<byte> wide = stackalloc byte[16];
        wide.Fill(fill);
        field.CopyTo(wide[(16 - field.Length)..]);
        wide[16 - field.Length] = (byte)((field[0] & 0x7f) | (negative ? 0x80 : 0));
        Int128 value = BinaryPrimitives.ReadInt128BigEndian(wide);
        return value >= long.MinValue && value <= long.MaxValue ? (long)value : throw LayerFailures.Malformed($"a tar header has a {what} of more than 64 bits");
    }

    private static bool TryParseOctal(ReadOnlySpan<byte> field, out long value)
    {
        value = 0;
        // leading and trailing spaces and NULs are padding; what follows the first NUL is ignored
        field = field.Trim(" \0"u8);
        int nul = field.IndexOf((byte)0);
        field = nul < 0 ? field : field[..nul];
        foreach (byte digit in field)
        {
            // 12 digits at most fit a field, so this cannot overflow
            if (digit is < (byte)'0' or > (byte)'7')
            {
                return false;
            }

            value = (value << 3) | (long)(digit - '0');
        }

        return true;
    }

    private static ReadOnlySpan<byte> Text(ReadOnlySpan<byte> field)
    {
        int nul = field.IndexOf((byte)0);
        return nul < 0 ? field : field[..nul];
    }
}
