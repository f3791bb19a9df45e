using System.Buffers;
using System.Buffers.Binary;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Bundles;

internal enum HeaderUnitKind : byte
{
    Name = 1,
    Image = 2,
    Plan = 3,

    /// <summary>An image whose filesystem image is told as what differs from one that the worker has.</summary>
    PatchedImage = 4,
}

/// <summary>The frame around each unit of the header. Units are compressed on their own, so that an image's can be made once and used in every bundle.</summary>
/// <remarks>
/// <code>
/// at  length
///  0   1   kind              1 name, 2 image, 3 plan, 4 patched image
///  1   1   encoding          0 stored, 1 one zstd frame (RFC 8878); never longer than the raw bytes
///  2   2   zero
///  4   4   stored length
///  8   4   raw length
/// 12   …   stored bytes
/// </code>
/// </remarks>
internal static class HeaderUnit
{
    private const int FrameLength = 12;
    private const byte Stored = 0;
    private const byte Zstd = 1;

    /// <param name="kind">What the payload is.</param>
    /// <param name="payload">Raw bytes.</param>
    /// <param name="level">zstd level; 0 stores.</param>
    public static byte[] Encode(HeaderUnitKind kind, ReadOnlySpan<byte> payload, int level)
    {
        byte[] unit = new byte[FrameLength + payload.Length];
        int length = 0;
        byte encoding = Zstd;
        using (ZstdCompressor? compressor = level == 0 ? null : new ZstdCompressor(level, checksum: false))
        {
            if (payload.Length == 0 || compressor?.TryCompress(payload, unit.AsSpan(FrameLength, payload.Length - 1), out length) != true)
            {
                encoding = Stored;
                length = payload.Length;
                payload.CopyTo(unit.AsSpan(FrameLength));
            }
        }

        WriteFrame(unit, kind, encoding, length, payload.Length);
        Array.Resize(ref unit, FrameLength + length);
        return unit;
    }

    /// <summary>A unit of a payload in two parts, compressed as a stream: neither are the parts joined nor is anything of the payload's length in the process's own memory.</summary>
    /// <param name="before">Put before the unit.</param>
    /// <param name="kind">What the payload is.</param>
    /// <param name="first">Its beginning.</param>
    /// <param name="second">The rest, long enough to become shorter.</param>
    /// <param name="level">zstd level, not 0.</param>
    /// <param name="spool">Where the unit is while its length is not known.</param>
    public static byte[] EncodeLarge(ReadOnlySpan<byte> before, HeaderUnitKind kind, ReadOnlySpan<byte> first, ReadOnlyMemory<byte> second, int level, Spool spool)
    {
        int payload = checked(first.Length + second.Length);
        using IMemoryOwner<byte> place = spool.Rent(checked(before.Length + FrameLength + ZstdCompressor.Bound(payload)));
        using SpoolWriter unit = new(place.Memory);
        unit.Write(before);
        unit.Write(stackalloc byte[FrameLength]);
        using (ZstdCompressionStream zstd = new(unit, level, leaveOpen: true, contentSize: payload, checksum: false))
        {
            zstd.Write(first);
            foreach (ReadOnlyMemory<byte> part in SpooledMemory.Parts(second))
            {
                zstd.Write(part.Span);
            }
        }

        byte[] encoded = unit.ToArray();
        WriteFrame(encoded.AsSpan(before.Length), kind, Zstd, encoded.Length - before.Length - FrameLength, payload);
        return encoded;
    }

    private static void WriteFrame(Span<byte> unit, HeaderUnitKind kind, byte encoding, int length, int payload)
    {
        unit[0] = (byte)kind;
        unit[1] = encoding;
        BinaryPrimitives.WriteInt32LittleEndian(unit[4..], length);
        BinaryPrimitives.WriteInt32LittleEndian(unit[8..], payload);
    }

    /// <summary>Reads the unit at the beginning of <paramref name="header"/>. The caller has checked the header's digest, so what is not known is newer, not damaged.</summary>
    /// <param name="header">Units, one after the other.</param>
    /// <param name="expected">The only kind that is legal here.</param>
    /// <param name="maxLength">Most raw bytes that are accepted.</param>
    /// <param name="length">Bytes that the unit takes up.</param>
    /// <exception cref="FormatException">The bytes are not such a unit.</exception>
    /// <exception cref="FailureException">Unsupported <c>Bundle.TooNew</c>, ResourceExhausted <c>Bundle.TooLarge</c>, DataCorrupt <c>Zstd.Corrupt</c>.</exception>
    public static ReadOnlyMemory<byte> Decode(ReadOnlyMemory<byte> header, HeaderUnitKind expected, int maxLength, out int length)
    {
        (ReadOnlyMemory<byte> body, int raw) = Open(header, expected, maxLength);
        length = FrameLength + body.Length;
        if (body.Length == raw)
        {
            return body;
        }

        byte[] payload = new byte[raw];
        using ZstdDecompressor decompressor = new();
        decompressor.Decompress(body.Span, payload);
        return payload;
    }

    /// <summary>The same for a unit that may be large and is all of <paramref name="unit"/>: its payload is in memory that the caller disposes, no part of it in the process's own.</summary>
    public static IMemoryOwner<byte> DecodeLarge(ReadOnlyMemory<byte> unit, HeaderUnitKind expected, int maxLength, Spool spool)
    {
        (ReadOnlyMemory<byte> body, int raw) = Open(unit, expected, maxLength);
        if (FrameLength + body.Length != unit.Length)
        {
            throw new FormatException("something follows the unit");
        }

        IMemoryOwner<byte> payload = spool.RentAnyway(raw);
        try
        {
            if (body.Length == raw)
            {
                body.CopyTo(payload.Memory);
            }
            else
            {
                Decompress(body.Span, payload.Memory);
            }

            return payload;
        }
        catch
        {
            payload.Dispose();
            throw;
        }
    }

    private static void Decompress(ReadOnlySpan<byte> frame, Memory<byte> payload)
    {
        using ZstdDecompressor decompressor = new();
        if (payload.Length < SpooledMemory.Threshold)
        {
            decompressor.Decompress(frame, payload.Span);
            return;
        }

        bool isComplete = false;
        for (int at = 0; at < payload.Length;)
        {
            Span<byte> part = payload.Span.Slice(at, Math.Min(SpooledMemory.Stride, payload.Length - at));
            while (part.Length > 0)
            {
                isComplete = decompressor.Step(frame, part, out int consumed, out int written);
                if (written == 0 && (consumed == 0 || isComplete))
                {
                    throw new FormatException("a unit is shorter than it says");
                }

                frame = frame[consumed..];
                part = part[written..];
                at += written;
            }

            SpooledMemory.Relax(payload);
        }

        // A full destination may leave the frame's end unread.
        while (!isComplete && !frame.IsEmpty)
        {
            isComplete = decompressor.Step(frame, default, out int consumed, out _);
            frame = consumed > 0 || isComplete ? frame[consumed..] : throw new FormatException("a unit is longer than it says");
        }

        if (!isComplete || !frame.IsEmpty)
        {
            throw new FormatException("a unit's lengths contradict each other");
        }
    }

    /// <returns>The stored bytes, and how many they are raw; equal lengths mean that they are not compressed.</returns>
    private static (ReadOnlyMemory<byte> Body, int RawLength) Open(ReadOnlyMemory<byte> header, HeaderUnitKind expected, int maxLength)
    {
        ReadOnlySpan<byte> span = header.Span;
        if (span.Length < FrameLength)
        {
            throw new FormatException("the header ends where a unit should begin");
        }

        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(span[4..]);
        uint raw = BinaryPrimitives.ReadUInt32LittleEndian(span[8..]);
        if (span[0] != (byte)expected || (span[2] | span[3]) != 0)
        {
            throw BundleErrors.TooNew($"a unit of kind {span[0]} where {(byte)expected} is known");
        }

        if (stored > span.Length - FrameLength)
        {
            throw new FormatException("a unit is longer than the header");
        }

        if (raw > maxLength)
        {
            throw BundleErrors.TooLarge("unit length", raw, maxLength);
        }

        return span[1] switch
        {
            Stored when stored == raw => (header.Slice(FrameLength, (int)stored), (int)raw),
            Zstd when stored < raw => (header.Slice(FrameLength, (int)stored), (int)raw),
            Stored or Zstd => throw new FormatException("a unit's lengths contradict each other"),
            _ => throw BundleErrors.TooNew($"a unit in encoding {span[1]}"),
        };
    }

    /// <summary>Kind of the unit at the beginning of <paramref name="header"/>; 0 if there is none.</summary>
    public static HeaderUnitKind KindOf(ReadOnlySpan<byte> header) => header.IsEmpty ? 0 : (HeaderUnitKind)header[0];

    /// <summary>Raw length of the unit at the beginning of bytes that this process has made itself.</summary>
    public static int RawLengthOf(ReadOnlySpan<byte> units) => BinaryPrimitives.ReadInt32LittleEndian(units[8..]);

    /// <summary>Length of the unit at the beginning of bytes that this process has made itself.</summary>
    public static int LengthOf(ReadOnlySpan<byte> units) => FrameLength + BinaryPrimitives.ReadInt32LittleEndian(units[4..]);
}
