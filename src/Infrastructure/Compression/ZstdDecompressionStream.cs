using System.Buffers;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Compression;

/// <summary>
/// Reads any number of zstd frames one after the other as one stream; skippable frames are skipped. Forward only. Damage gives DataCorrupt <c>Zstd.Corrupt</c>, an
/// end inside a frame (or before the first) DataCorrupt <c>Zstd.Truncated</c>.
/// </summary>
public sealed class ZstdDecompressionStream : Stream
{
    /// <summary>ZSTD_DStreamInSize is one 128 KiB block and its header; half of it keeps pooled arrays in the common size.</summary>
    private const int InputLength = 64 << 10;

    private readonly Stream _inner;
    private readonly bool _leaveOpen;
    private readonly ZstdDecompressor _decompressor;

    /// <summary>Rented; returned by Dispose.</summary>
    private byte[]? _input = ArrayPool<byte>.Shared.Rent(InputLength);
    private int _start;
    private int _end;
    private bool _betweenFrames;
    private bool _moreWithoutInput;

    /// <param name="inner">Compressed bytes; read ahead by up to one buffer.</param>
    /// <param name="leaveOpen">Do not dispose <paramref name="inner"/>.</param>
    /// <param name="maxWindowLog">See <see cref="ZstdDecompressor"/>.</param>
    public ZstdDecompressionStream(Stream inner, bool leaveOpen = false, int maxWindowLog = ZstdCompressor.MaxWindowLog)
    {
        _inner = inner;
        _leaveOpen = leaveOpen;
        _decompressor = new ZstdDecompressor(maxWindowLog);
    }

    public override bool CanRead => _input is not null;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        return Read(buffer.AsSpan(offset, count));
    }

    public override int Read(Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            if (TryDecompress(buffer, out int written))
            {
                return written;
            }

            if (!Filled(_inner.Read(Input)))
            {
                return 0;
            }
        }

        return 0;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (buffer.Length > 0)
        {
            if (TryDecompress(buffer.Span, out int written))
            {
                return written;
            }

            if (!Filled(await _inner.ReadAsync(Input, cancellationToken)))
            {
                return 0;
            }
        }

        return 0;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && _input is { } input)
        {
            _input = null;
            ArrayPool<byte>.Shared.Return(input);
            _decompressor.Dispose();
            if (!_leaveOpen)
            {
                _inner.Dispose();
            }
        }

        base.Dispose(disposing);
    }

    private byte[] Input => _input ?? throw new ObjectDisposedException(nameof(ZstdDecompressionStream));

    private bool TryDecompress(Span<byte> buffer, out int written)
    {
        byte[] input = Input;
        written = 0;
        while (_start < _end || _moreWithoutInput)
        {
            _betweenFrames = _decompressor.Step(input.AsSpan(_start, _end - _start), buffer, out int consumed, out written);
            _start += consumed;
            _moreWithoutInput = written == buffer.Length && !_betweenFrames;
            if (written > 0)
            {
                return true;
            }
        }

        return false;
    }

    private bool Filled(int read)
    {
        _start = 0;
        _end = read;
        if (read > 0)
        {
            return true;
        }

        return _betweenFrames ? false : throw ZstdErrors.Truncated();
    }
}
