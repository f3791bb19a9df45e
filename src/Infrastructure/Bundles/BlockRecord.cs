using System.Buffers.Binary;

namespace Starlight.Infrastructure.Bundles;

internal enum BlockKind : byte
{
    /// <summary>The last record of a bundle; its 8 bytes are the bundle's whole length, this record included.</summary>
    End = 0,

    /// <summary>One zstd frame without a checksum of its own, shorter than the raw block.</summary>
    Zstd = 1,

    /// <summary>The raw block: compression would not make it smaller.</summary>
    Raw = 2,

    /// <summary>One zstd frame without a checksum of its own that holds a patch (Patches/PatchPayload.cs) against contents which the worker has; shorter than the raw block.</summary>
    Patch = 3,
}

/// <summary>The header of a record in the block section.</summary>
/// <remarks>
/// <code>
/// at  length
///  0   1   kind
///  1   3   zero
///  4   4   stored length
///  8   4   CRC-32C of the 8 bytes before and of the stored bytes
/// 12   …   stored bytes
/// </code>
/// The checksum comes before decompression, so a damaged block is known as such whatever zstd would have made of it, and a kind that is not known is known to be meant.
/// </remarks>
internal readonly record struct BlockRecord(BlockKind Kind, int StoredLength, uint Checksum)
{
    public const int HeaderLength = 12;

    /// <summary>No kind stores more than the raw block; the trailer stores 8 bytes.</summary>
    public const int MaxStoredLength = BundleFormat.MaxBlockLength;

    public const int TrailerLength = HeaderLength + sizeof(long);

    public static void Write(Span<byte> header, BlockKind kind, ReadOnlySpan<byte> stored)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)kind);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], stored.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], BundleFormat.Checksum(stored, BundleFormat.Checksum(header[..8])));
    }

    public static void WriteTrailer(Span<byte> record, long bundleLength)
    {
        BinaryPrimitives.WriteInt64LittleEndian(record[HeaderLength..], bundleLength);
        Write(record, BlockKind.End, record.Slice(HeaderLength, sizeof(long)));
    }

    /// <param name="header">So many bytes as <see cref="HeaderLength"/>.</param>
    /// <param name="offset">Of the record in the bundle, for messages.</param>
    public static BlockRecord Read(ReadOnlySpan<byte> header, long offset)
    {
        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);
        return stored <= MaxStoredLength && (header[1] | header[2] | header[3]) == 0
            ? new BlockRecord((BlockKind)header[0], (int)stored, BinaryPrimitives.ReadUInt32LittleEndian(header[8..]))
            : throw BundleErrors.Corrupt(offset, "this is not a block record");
    }

    /// <summary>Whether header and stored bytes are as they were written.</summary>
    public bool IsIntact(ReadOnlySpan<byte> header, ReadOnlySpan<byte> stored) =>
        BundleFormat.Checksum(stored, BundleFormat.Checksum(header[..8])) == Checksum;
}
