using System.Buffers.Binary;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// Reads filesystem images that <see cref="ErofsWriter"/> made, and nothing else: any feature it does not use is refused. The bytes come from
/// a proxy, so every number in them is checked before it is used; whatever is wrong is <c>FilesystemImage.Malformed</c>.
/// </summary>
public static class ErofsReader
{
    /// <summary>Checks the super block. The rest is checked when it is asked for.</summary>
    public static FilesystemImage Open(ReadOnlyMemory<byte> image)
    {
        ReadOnlySpan<byte> bytes = image.Span;
        if (bytes.Length < ErofsFormat.BlockSize || bytes.Length % ErofsFormat.BlockSize != 0)
        {
            throw ErofsFormat.Malformed($"{bytes.Length} bytes are not whole blocks");
        }

        ReadOnlySpan<byte> super = bytes.Slice(ErofsFormat.SuperOffset, ErofsFormat.SuperSize);
        if (BinaryPrimitives.ReadUInt32LittleEndian(super) != ErofsFormat.SuperMagic)
        {
            throw ErofsFormat.Malformed("the magic number is missing");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(super[4..]) != ErofsWriter.Checksum(bytes))
        {
            throw ErofsFormat.Malformed("the super block's checksum is wrong");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(super[8..]) != ErofsFormat.CompatibleFeatures || super[12] != ErofsFormat.BlockBits || super[13] != 0
            || BinaryPrimitives.ReadUInt32LittleEndian(super[40..]) != 0
            || BinaryPrimitives.ReadUInt32LittleEndian(super[80..]) != ErofsFormat.IncompatibleFeatures
            || super[64..80].ContainsAnyExcept((byte)0) || super[84..].ContainsAnyExcept((byte)0))
        {
            throw ErofsFormat.Malformed("the super block has other features");
        }

        long blocks = BinaryPrimitives.ReadUInt32LittleEndian(super[36..]);
        if (blocks != bytes.Length >> ErofsFormat.BlockBits)
        {
            throw ErofsFormat.Malformed($"{blocks} blocks are promised in {bytes.Length} bytes");
        }

        uint epochNanoseconds = BinaryPrimitives.ReadUInt32LittleEndian(super[32..]);
        long sharedStart = (long)BinaryPrimitives.ReadUInt32LittleEndian(super[44..]) << ErofsFormat.BlockBits;
        if (epochNanoseconds > 999_999_999 || sharedStart >= bytes.Length)
        {
            throw ErofsFormat.Malformed("the super block's numbers are out of range");
        }

        return new FilesystemImage(new ErofsImage(image)
        {
            RootNid = BinaryPrimitives.ReadUInt16LittleEndian(super[14..]),
            InodeCount = BinaryPrimitives.ReadUInt64LittleEndian(super[16..]),
            EpochSeconds = BinaryPrimitives.ReadInt64LittleEndian(super[24..]),
            EpochNanoseconds = epochNanoseconds,
            SharedStart = sharedStart,
        });
    }
}
