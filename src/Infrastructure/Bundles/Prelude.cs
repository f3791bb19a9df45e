using System.Buffers.Binary;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Bundles;

/// <summary>The fixed beginning of a bundle.</summary>
/// <remarks>
/// <code>
/// at  length
///  0   8   magic 89 'S' 'L' 'B' 0d 0a 1a 0a     (as PNG's: shows when something changed line ends or the eighth bit)
///  8   2   version                              2
/// 10   2   flags                                0; a bit that is not known is refused
/// 12   4   images
/// 16   8   header length                        where the first block record starts, counted from the first byte of the prelude
/// 24   4   blocks
/// 28  32   header digest                        sha256 of everything from the end of the prelude to the first block record
/// 60   4   CRC-32C of the 60 bytes before       in every version of the format, so that a newer bundle is told from a damaged one
/// </code>
/// </remarks>
internal readonly record struct Prelude(int Images, int HeaderLength, int Blocks, Digest HeaderDigest)
{
    public const int Length = 64;

    private static ReadOnlySpan<byte> Magic => [0x89, (byte)'S', (byte)'L', (byte)'B', 0x0d, 0x0a, 0x1a, 0x0a];

    public void Write(Span<byte> target)
    {
        Magic.CopyTo(target);
        BinaryPrimitives.WriteUInt16LittleEndian(target[8..], BundleFormat.Version);
        BinaryPrimitives.WriteUInt16LittleEndian(target[10..], 0);
        BinaryPrimitives.WriteInt32LittleEndian(target[12..], Images);
        BinaryPrimitives.WriteInt64LittleEndian(target[16..], HeaderLength);
        BinaryPrimitives.WriteInt32LittleEndian(target[24..], Blocks);
        HeaderDigest.CopyTo(target[28..]);
        BinaryPrimitives.WriteUInt32LittleEndian(target[60..], BundleFormat.Checksum(target[..60]));
    }

    public static Prelude Read(ReadOnlySpan<byte> source)
    {
        if (!source.StartsWith(Magic))
        {
            throw BundleErrors.NotABundle();
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(source[60..]) != BundleFormat.Checksum(source[..60]))
        {
            throw BundleErrors.Corrupt(0, "the prelude's checksum is wrong");
        }

        ushort version = BinaryPrimitives.ReadUInt16LittleEndian(source[8..]);
        ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(source[10..]);
        if (version < BundleFormat.Version)
        {
            throw BundleErrors.TooOld(version);
        }

        if (version != BundleFormat.Version || flags != 0)
        {
            throw BundleErrors.TooNew(version != BundleFormat.Version ? $"format version {version}, known is {BundleFormat.Version}" : $"flags {flags:x4}");
        }

        uint images = BinaryPrimitives.ReadUInt32LittleEndian(source[12..]);
        ulong header = BinaryPrimitives.ReadUInt64LittleEndian(source[16..]);
        uint blocks = BinaryPrimitives.ReadUInt32LittleEndian(source[24..]);
        if (images > BundleFormat.MaxImages)
        {
            throw BundleErrors.TooLarge("number of images", images, BundleFormat.MaxImages);
        }

        if (header > BundleFormat.MaxHeaderLength)
        {
            throw BundleErrors.TooLarge("header length", (long)Math.Min(header, long.MaxValue), BundleFormat.MaxHeaderLength);
        }

        if (header < Length || blocks > int.MaxValue)
        {
            throw BundleErrors.Corrupt(0, "the prelude contradicts itself");
        }

        return new Prelude((int)images, (int)header, (int)blocks, new Digest(source.Slice(28, Digest.Size)));
    }
}
