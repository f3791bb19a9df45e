using System.Buffers.Binary;
using Starlight.Infrastructure.Compression;
using Starlight.Infrastructure.Images.Gzip;
using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>How a layer blob is compressed.</summary>
internal enum LayerCompression
{
    None,
    Gzip,
    Zstd,
}

/// <summary>Tells the compression of a layer from its first bytes: descriptors' media types are often wrong, above all for Docker's family, which has no zstd type.</summary>
internal static class LayerDecompression
{
    /// <summary>RFC 8878 section 3.1.1.</summary>
    private const uint ZstdMagic = 0xfd2fb528;

    /// <summary>RFC 8878 section 3.1.2: 0x184d2a50 to 0x184d2a5f begin a skippable frame.</summary>
    private const uint ZstdSkippableMagic = 0x184d2a50;

    public static LayerCompression Detect(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith<byte>([0x1f, 0x8b]))
        {
            return LayerCompression.Gzip;
        }

        if (head.Length >= 4)
        {
            uint magic = BinaryPrimitives.ReadUInt32LittleEndian(head);
            if (magic == ZstdMagic || (magic & 0xfffffff0) == ZstdSkippableMagic)
            {
                return LayerCompression.Zstd;
            }
        }

        if (head.StartsWith("BZh"u8) || head.StartsWith<byte>([0xfd, (byte)'7', (byte)'z', (byte)'X']))
        {
            throw LayerFailures.Unsupported("it is compressed with bzip2 or xz, which image layers must not be; build the image with gzip or zstd");
        }

        return LayerCompression.None;
    }

    /// <summary>The tar inside. Disposing it leaves <paramref name="blob"/> open.</summary>
    public static Stream Open(Stream blob, LayerCompression compression) => compression switch
    {
        LayerCompression.Gzip => new GzipMembersStream(blob),
        LayerCompression.Zstd => new ZstdDecompressionStream(blob, leaveOpen: true),
        _ => new PlainStream(blob),
    };

    private sealed class PlainStream(Stream blob) : ForwardReadStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => blob.ReadAsync(buffer, cancellationToken);
    }
}
