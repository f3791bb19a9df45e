using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.Persistence;

/// <summary>Column values as one zstd frame.</summary>
internal static class Packed
{
    /// <summary>zstd's own default: about a quarter of an index's size at hundreds of MB/s.</summary>
    private const int Level = 3;

    /// <summary>No index or filesystem image comes near; a damaged length must not ask for all memory. Arbitrary.</summary>
    private const long MaxLength = 1L << 30;

    public static byte[] Pack(ReadOnlySpan<byte> raw)
    {
        using ZstdCompressor compressor = new(Level);
        return compressor.Compress(raw);
    }

    /// <exception cref="FailureException">DataCorrupt <c>Zstd.Corrupt</c> or <c>Catalog.Corrupt</c>.</exception>
    public static byte[] Unpack(byte[] packed)
    {
        long length = ZstdDecompressor.ReadContentSize(packed) ?? -1;
        if (length is < 0 or > MaxLength)
        {
            throw new FailureException(new Error("Catalog.Corrupt", "a compressed column of the catalog declares an impossible length: the database is damaged", ErrorKind.DataCorrupt));
        }

        byte[] raw = new byte[length];
        using ZstdDecompressor decompressor = new();
        decompressor.Decompress(packed, raw);
        return raw;
    }
}
