using System.Buffers;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Persistence;

/// <summary>Column values as one zstd frame.</summary>
internal static class Packed
{
    /// <summary>zstd's own default: about a quarter of an index's size at hundreds of MB/s.</summary>
    private const int Level = 3;

    /// <summary>No index comes near; a damaged length must not ask for all memory. Arbitrary.</summary>
    private const long MaxLength = 1L << 30;

    public static byte[] Pack(ReadOnlySpan<byte> raw)
    {
        using ZstdCompressor compressor = new(Level);
        return compressor.Compress(raw);
    }

    /// <summary>One frame in arrays of <see cref="Parts.Length"/>, made as they are asked for.</summary>
    /// <param name="raw">Pieces that follow each other.</param>
    public static IEnumerable<byte[]> PackParts(IReadOnlyList<ReadOnlyMemory<byte>> raw)
    {
        PartStream parts = new();
        using (ZstdCompressionStream zstd = new(parts, Level, leaveOpen: true, contentSize: raw.Sum(r => (long)r.Length)))
        {
            foreach (ReadOnlyMemory<byte> piece in raw)
            {
                zstd.Write(piece.Span);
                while (parts.Finished.TryDequeue(out byte[]? part))
                {
                    yield return part;
                }
            }
        }

        while (parts.Finished.TryDequeue(out byte[]? part))
        {
            yield return part;
        }

        if (parts.Rest.Length > 0)
        {
            yield return parts.Rest.ToArray();
        }
    }

    /// <exception cref="FailureException">DataCorrupt <c>Zstd.Corrupt</c> or <c>Catalog.Corrupt</c>.</exception>
    public static byte[] Unpack(byte[] packed)
    {
        byte[] raw = new byte[LengthOf(packed)];
        using ZstdDecompressor decompressor = new();
        decompressor.Decompress(packed, raw);
        return raw;
    }

    /// <summary>The value that <see cref="PackParts"/> packed. The caller disposes it.</summary>
    /// <exception cref="FailureException">The same.</exception>
    public static async Task<IMemoryOwner<byte>> UnpackAsync(IAsyncEnumerable<byte[]> parts, Spool spool, CancellationToken cancellationToken)
    {
        using ZstdDecompressor decompressor = new();
        IMemoryOwner<byte>? raw = null;
        try
        {
            (int at, int relaxedAt, bool isComplete) = (0, 0, false);
            await foreach (byte[] part in parts.WithCancellation(cancellationToken))
            {
                raw ??= spool.Rent(LengthOf(part));
                (int written, isComplete) = isComplete ? throw Damaged("goes on after its end") : Step(decompressor, part, raw.Memory.Span[at..]);
                at += written;
                if (at - relaxedAt >= SpooledMemory.Stride)
                {
                    SpooledMemory.Relax(raw.Memory);
                    relaxedAt = at;
                }
            }

            return raw is not null && isComplete && at == raw.Memory.Length ? raw : throw Damaged("ends too early");
        }
        catch
        {
            raw?.Dispose();
            throw;
        }
    }

    /// <summary>Takes all of <paramref name="part"/>.</summary>
    private static (int Written, bool IsComplete) Step(ZstdDecompressor decompressor, ReadOnlySpan<byte> part, Span<byte> raw)
    {
        int all = 0;
        bool isComplete = false;
        while (part.Length > 0)
        {
            isComplete = !isComplete ? decompressor.Step(part, raw, out int consumed, out int written) : throw Damaged("goes on after its end");
            part = consumed > 0 || written > 0 ? part[consumed..] : throw Damaged("is longer than it says");
            raw = raw[written..];
            all += written;
        }

        return (all, isComplete);
    }

    private static int LengthOf(ReadOnlySpan<byte> packed)
    {
        long length = ZstdDecompressor.ReadContentSize(packed) ?? -1;
        return length is >= 0 and <= MaxLength ? (int)length : throw Damaged("declares an impossible length");
    }

    private static FailureException Damaged(string why) => new(new Error("Catalog.Corrupt", $"a compressed column of the catalog {why}: the database is damaged", ErrorKind.DataCorrupt));

    /// <summary>Cuts what is written into arrays of one length.</summary>
    private sealed class PartStream : Stream
    {
        private byte[] _part = new byte[Parts.Length];
        private int _length;

        public Queue<byte[]> Finished { get; } = new();

        public ReadOnlySpan<byte> Rest => _part.AsSpan(0, _length);

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            while (buffer.Length > 0)
            {
                int count = Math.Min(buffer.Length, Parts.Length - _length);
                buffer[..count].CopyTo(_part.AsSpan(_length));
                buffer = buffer[count..];
                _length += count;
                if (_length == Parts.Length)
                {
                    Finished.Enqueue(_part);
                    (_part, _length) = (new byte[Parts.Length], 0);
                }
            }
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
