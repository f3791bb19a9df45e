using System.IO.Compression;
using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.Images.Gzip;

/// <summary>
/// Decompresses a whole blob of one or more gzip members (RFC 1952) and, unlike the framework's <see cref="GZipStream"/> alone, notices when the blob is cut off
/// inside a member or followed by garbage. The framework takes both for a proper end, so a member of our own, the seal, is read after the blob:
/// <code>
/// member | member | … | member | seal = gzip("\0STARLIGHT-SEAL\0")
/// </code>
/// If its content comes out at the very end, everything before it was whole; in any other case it cannot, because what is cut off swallows its bytes and fails the
/// checksum, and garbage stops the decompressor in front of it. The seal's content never reaches the caller. Read-only; not thread-safe.
/// </summary>
internal sealed class GzipMembersStream : ForwardReadStream
{
    private const int BufferSize = 64 * 1024;

    private static readonly byte[] SealContent = "\0STARLIGHT-SEAL\0"u8.ToArray();
    private static readonly byte[] Seal = Compress(SealContent);

    private readonly GZipStream _gzip;
    private readonly byte[] _buffer = new byte[BufferSize];
    private int _start;
    private int _end;
    private bool _atEnd;

    /// <param name="compressed">Stays the caller's.</param>
    public GzipMembersStream(Stream compressed) => _gzip = new GZipStream(new SealedSource(compressed), CompressionMode.Decompress);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // the last bytes are held back until it is known that they are not the seal
        while (!_atEnd && _end - _start <= SealContent.Length)
        {
            await FillAsync(cancellationToken);
        }

        int count = Math.Min(buffer.Length, _end - _start - (_atEnd ? 0 : SealContent.Length));
        _buffer.AsSpan(_start, count).CopyTo(buffer.Span);
        _start += count;
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _gzip.Dispose();
        }

        base.Dispose(disposing);
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        _buffer.AsSpan(_start.._end).CopyTo(_buffer);
        (_start, _end) = (0, _end - _start);
        int read;
        try
        {
            read = await _gzip.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
        }
        catch (InvalidDataException e)
        {
            throw LayerFailures.Malformed($"its gzip data is damaged ({e.Message.TrimEnd('.')})", e);
        }

        _end += read;
        if (read == 0)
        {
            _atEnd = true;
            if (!_buffer.AsSpan(_start.._end).EndsWith(SealContent))
            {
                throw LayerFailures.Malformed("its gzip data is cut off or followed by something else");
            }

            _end -= SealContent.Length;
        }
    }

    private static byte[] Compress(byte[] content)
    {
        MemoryStream compressed = new();
        using (GZipStream gzip = new(compressed, CompressionLevel.Fastest))
        {
            gzip.Write(content);
        }

        return compressed.ToArray();
    }

    /// <summary>The blob, then the seal. The framework asks for 8 KiB at a time, so reads are gathered in a larger buffer.</summary>
    private sealed class SealedSource(Stream blob) : ForwardReadStream
    {
        private readonly byte[] _buffer = new byte[BufferSize];
        private int _start;
        private int _end;
        private int _sealSent = -1;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_start == _end && _sealSent < 0)
            {
                _start = 0;
                _end = await blob.ReadAsync(_buffer, cancellationToken);
                _sealSent = _end == 0 ? 0 : -1;
            }

            ReadOnlySpan<byte> from = _sealSent < 0 ? _buffer.AsSpan(_start.._end) : Seal.AsSpan(_sealSent);
            int count = Math.Min(buffer.Length, from.Length);
            from[..count].CopyTo(buffer.Span);
            _start += _sealSent < 0 ? count : 0;
            _sealSent += _sealSent < 0 ? 0 : count;
            return count;
        }
    }
}
