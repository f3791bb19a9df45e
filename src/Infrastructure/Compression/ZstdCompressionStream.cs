using System.Buffers;
using Starlight.Infrastructure.Compression.Native;

namespace Starlight.Infrastructure.Compression;

/// <summary>
/// Writes everything into one zstd frame, which Dispose ends. <see cref="Flush"/> makes everything written so far readable at a small cost in size.
/// The same writes at the same level with the same library give the same bytes.
/// </summary>
public sealed class ZstdCompressionStream : Stream
{
    /// <summary>ZSTD_CStreamOutSize is a little more than one 128 KiB block; half of it keeps pooled arrays in the common size.</summary>
    private const int OutputLength = 64 << 10;

    private readonly Stream _inner;
    private readonly bool _leaveOpen;
    private readonly CompressionContext _context = CompressionContext.Rent();

    /// <summary>Rented; returned by Dispose.</summary>
    private byte[]? _output = ArrayPool<byte>.Shared.Rent(OutputLength);

    /// <param name="inner">Where the frame goes.</param>
    /// <param name="level">See <see cref="ZstdCompressor"/>.</param>
    /// <param name="leaveOpen">Do not dispose <paramref name="inner"/>.</param>
    /// <param name="contentSize">Exact number of bytes to come if known: it is then written into the frame, and writing another number fails.</param>
    /// <param name="checksum">Whether the frame ends in one.</param>
    public ZstdCompressionStream(Stream inner, int level, bool leaveOpen = false, long? contentSize = null, bool checksum = true)
    {
        _inner = inner;
        _leaveOpen = leaveOpen;
        ZstdCompressor.Configure(_context, level, checksum);
        if (contentSize is { } size)
        {
            ZstdErrors.CheckCompression(NativeZstd.SetPledgedSize(_context, (ulong)size));
        }
    }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => _output is not null;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        Write(buffer.AsSpan(offset, count));
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            Step(buffer, NativeZstd.Continue, out int consumed, out int written);
            buffer = buffer[consumed..];
            _inner.Write(Output, 0, written);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (buffer.Length > 0)
        {
            Step(buffer.Span, NativeZstd.Continue, out int consumed, out int written);
            buffer = buffer[consumed..];
            await _inner.WriteAsync(Output.AsMemory(0, written), cancellationToken);
        }
    }

    public override void Flush()
    {
        Drain(NativeZstd.Flush);
        _inner.Flush();
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        await DrainAsync(NativeZstd.Flush, cancellationToken);
        await _inner.FlushAsync(cancellationToken);
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        if (_output is not null)
        {
            try
            {
                await DrainAsync(NativeZstd.End, CancellationToken.None);
            }
            finally
            {
                Release();
                if (!_leaveOpen)
                {
                    await _inner.DisposeAsync();
                }
            }
        }

        await base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && _output is not null)
        {
            try
            {
                Drain(NativeZstd.End);
            }
            finally
            {
                Release();
                if (!_leaveOpen)
                {
                    _inner.Dispose();
                }
            }
        }

        base.Dispose(disposing);
    }

    private byte[] Output => _output ?? throw new ObjectDisposedException(nameof(ZstdCompressionStream));

    private void Drain(int directive)
    {
        bool done;
        do
        {
            done = Step([], directive, out _, out int written);
            _inner.Write(Output, 0, written);
        }
        while (!done);
    }

    private async Task DrainAsync(int directive, CancellationToken cancellationToken)
    {
        bool done;
        do
        {
            done = Step([], directive, out _, out int written);
            await _inner.WriteAsync(Output.AsMemory(0, written), cancellationToken);
        }
        while (!done);
    }

    /// <returns>True once the library holds nothing back that the directive asks for.</returns>
    private unsafe bool Step(ReadOnlySpan<byte> source, int directive, out int consumed, out int written)
    {
        fixed (byte* from = source, to = Output)
        {
            NativeZstd.InBuffer input = new() { Source = from, Size = (nuint)source.Length };
            NativeZstd.OutBuffer output = new() { Destination = to, Size = (nuint)Output.Length };
            nuint remaining = ZstdErrors.CheckCompression(NativeZstd.CompressStream2(_context, &output, &input, directive));
            consumed = (int)input.Position;
            written = (int)output.Position;
            return remaining == 0;
        }
    }

    private void Release()
    {
        ArrayPool<byte>.Shared.Return(Output);
        _output = null;
        _context.Return();
    }
}
