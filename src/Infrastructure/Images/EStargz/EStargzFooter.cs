using System.Globalization;
using System.Text;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>
/// The last bytes of an eStargz blob: an empty gzip member whose extra field says where the TOC is.
/// <code>
/// 0  1f 8b 08 04  mtime 00000000  xfl 00  os ff      gzip header, FEXTRA set
/// 10 XLEN = 26 (LE)
/// 12 'S' 'G'  LEN = 22 (LE)
/// 16 16 hex digits: offset of the TOC's gzip member | "STARGZ"
/// 38 01 00 00 ff ff                                  empty stored block, last
/// 43 CRC32 = 0, ISIZE = 0                            (51 bytes in all)
/// </code>
/// The first stargz had no subfield header (XLEN = 22, 47 bytes). Blobs whose TOC lives in another image end in a subfield "STARGZEXTERNALTOC" (46 bytes).
/// stargz-snapshotter docs/estargz.md, "Footer".
/// </summary>
internal static class EStargzFooter
{
    public const int Length = 51;
    public const int LegacyLength = 47;
    public const int ExternalTocLength = 46;
    public const int MaxLength = Length;

    private const string Magic = "STARGZ";
    private const string ExternalTocMagic = "STARGZEXTERNALTOC";
    private const int HeaderLength = 12;
    private const int OffsetDigits = 16;

    /// <summary>Flate's empty last block, CRC and size of nothing.</summary>
    private static readonly byte[] Trailer = [0x01, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];

    public static byte[] Encode(long tocOffset)
    {
        byte[] subfield = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{tocOffset:x16}{Magic}"));
        return [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, (byte)(subfield.Length + 4), 0, (byte)'S', (byte)'G', (byte)subfield.Length, 0, .. subfield, .. Trailer];
    }

    /// <summary>Looks for a footer at the end of <paramref name="tail"/> and reads the TOC's offset from it.</summary>
    /// <param name="tail">The blob's last bytes, <see cref="MaxLength"/> of them if there are as many.</param>
    public static bool TryParse(ReadOnlySpan<byte> tail, out long tocOffset) =>
        TryParse(tail, Length, subfieldHeader: true, out tocOffset) || TryParse(tail, LegacyLength, subfieldHeader: false, out tocOffset);

    /// <summary>True for a blob whose TOC is stored elsewhere.</summary>
    public static bool IsExternalToc(ReadOnlySpan<byte> tail)
    {
        if (tail.Length < ExternalTocLength || !IsEmptyMember(tail[^ExternalTocLength..]))
        {
            return false;
        }

        ReadOnlySpan<byte> extra = tail[^ExternalTocLength..][HeaderLength..];
        return extra.StartsWith<byte>([(byte)'S', (byte)'G', 17, 0]) && extra[4..].StartsWith(Encoding.ASCII.GetBytes(ExternalTocMagic));
    }

    private static bool TryParse(ReadOnlySpan<byte> tail, int length, bool subfieldHeader, out long tocOffset)
    {
        tocOffset = 0;
        if (tail.Length < length || !IsEmptyMember(tail[^length..]))
        {
            return false;
        }

        ReadOnlySpan<byte> extra = tail[^length..][HeaderLength..^Trailer.Length];
        if (subfieldHeader)
        {
            if (!extra.StartsWith<byte>([(byte)'S', (byte)'G', 22, 0]))
            {
                return false;
            }

            extra = extra[4..];
        }

        return extra.Length == OffsetDigits + Magic.Length
            && extra[OffsetDigits..].SequenceEqual("STARGZ"u8)
            && long.TryParse(extra[..OffsetDigits], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out tocOffset)
            && tocOffset >= 0;
    }

    /// <summary>A gzip header with nothing but an extra field that fills the member up to an empty block. Time and system do not matter.</summary>
    private static bool IsEmptyMember(ReadOnlySpan<byte> member) =>
        member.StartsWith<byte>([0x1f, 0x8b, 8, 4]) && (member[10] | member[11] << 8) == member.Length - HeaderLength - Trailer.Length && member[^Trailer.Length..].SequenceEqual(Trailer);
}
