using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression.Native;

namespace Starlight.Infrastructure.Compression;

/// <summary>Decompresses zstd frames (RFC 8878). Input is not trusted: output never exceeds the caller's buffer. Keep one and use it for many frames; used by one thread at a time.</summary>
public sealed class ZstdDecompressor : IDisposable
{
    /// <summary>ZSTD_FRAMEHEADERSIZE_MAX: so many bytes always tell a frame's content size.</summary>
    public const int MaxFrameHeaderLength = 18;

    private readonly DecompressionContext _context;
    private bool _disposed;

    /// <param name="maxWindowLog">Streaming only: a frame with a window above 2^this bytes is refused, which bounds memory. 27 (128 MiB) is what <c>zstd --ultra -22</c> writes.</param>
    public ZstdDecompressor(int maxWindowLog = ZstdCompressor.MaxWindowLog)
    {
        _context = DecompressionContext.Rent();
        ZstdErrors.CheckCompression(NativeZstd.SetParameter(_context, NativeZstd.WindowLogMax, maxWindowLog));
    }

    /// <summary>The content size that a frame declares, or null if it declares none. At least <see cref="MaxFrameHeaderLength"/> bytes or the whole frame are needed.</summary>
    /// <exception cref="FailureException">DataCorrupt <c>Zstd.Corrupt</c> if this is not the start of a frame.</exception>
    public static unsafe long? ReadContentSize(ReadOnlySpan<byte> frame)
    {
        ZstdLibrary.EnsureAvailable();
        ulong size;
        fixed (byte* from = frame)
        {
            size = NativeZstd.GetFrameContentSize(from, (nuint)frame.Length);
        }

        return size switch
        {
            NativeZstd.ContentSizeUnknown => null,
            NativeZstd.ContentSizeError => throw ZstdErrors.Corrupt("this is not a zstd frame"),
            > long.MaxValue => throw ZstdErrors.Corrupt("its declared size is absurd"),
            _ => (long)size,
        };
    }

    /// <summary>Decompresses exactly one frame that fills <paramref name="destination"/> exactly; anything else is an error.</summary>
    /// <exception cref="FailureException">DataCorrupt <c>Zstd.Corrupt</c>.</exception>
    public unsafe void Decompress(ReadOnlySpan<byte> frame, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        fixed (byte* from = frame, to = destination)
        {
            // ZSTD_decompressDCtx would go on with whatever follows the first frame.
            nuint length = ZstdErrors.CheckDecompression(NativeZstd.FindFrameCompressedSize(from, (nuint)frame.Length));
            if (length != (nuint)frame.Length)
            {
                throw ZstdErrors.Corrupt("something follows the frame");
            }

            nuint written = ZstdErrors.CheckDecompression(NativeZstd.Decompress(_context, to, (nuint)destination.Length, from, length));
            if (written != (nuint)destination.Length)
            {
                throw ZstdErrors.Corrupt($"the frame holds {written} bytes where {destination.Length} were announced");
            }
        }
    }

    /// <summary>One step of streaming decompression: reads from <paramref name="source"/> and writes to <paramref name="destination"/> as much as either allows.</summary>
    /// <param name="source">What is at hand; any part of any number of frames.</param>
    /// <param name="destination">Where raw bytes go.</param>
    /// <param name="consumed">Bytes taken from <paramref name="source"/>; the rest is to be passed again.</param>
    /// <param name="written">Bytes put into <paramref name="destination"/>. If it is full there may be more to come without further input.</param>
    /// <returns>True exactly at the end of a frame; the next step begins a new one.</returns>
    /// <exception cref="FailureException">DataCorrupt <c>Zstd.Corrupt</c>, ResourceExhausted <c>Zstd.WindowTooLarge</c>.</exception>
    public unsafe bool Step(ReadOnlySpan<byte> source, Span<byte> destination, out int consumed, out int written)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        fixed (byte* from = source, to = destination)
        {
            NativeZstd.InBuffer input = new() { Source = from, Size = (nuint)source.Length };
            NativeZstd.OutBuffer output = new() { Destination = to, Size = (nuint)destination.Length };
            nuint hint = ZstdErrors.CheckDecompression(NativeZstd.DecompressStream(_context, &output, &input));
            consumed = (int)input.Position;
            written = (int)output.Position;
            return hint == 0;
        }
    }

    /// <summary>Forgets a half-read frame.</summary>
    public void Reset()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ZstdErrors.CheckCompression(NativeZstd.ResetDCtx(_context, NativeZstd.ResetSessionOnly));
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _context.Return();
        }
    }
}
