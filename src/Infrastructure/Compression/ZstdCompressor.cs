using Starlight.Infrastructure.Compression.Native;

namespace Starlight.Infrastructure.Compression;

/// <summary>
/// Compresses whole buffers, each into one zstd frame (RFC 8878) that carries its content size and, unless told otherwise, a checksum. Single-threaded: the same
/// input, level and library version give the same bytes. Keep one and use it for many frames; used by one thread at a time.
/// </summary>
public sealed class ZstdCompressor : IDisposable
{
    /// <summary>Largest window of a frame that is accepted: 2^27 is what every decompressor accepts without being told (ZSTD_WINDOWLOG_LIMIT_DEFAULT).</summary>
    public const int MaxWindowLog = 27;

    private readonly CompressionContext _context;
    private bool _disposed;

    /// <param name="level">1 (fast) to 22 (small); negative levels are faster still. See docs/formats/delta-bundle.md for measurements.</param>
    /// <param name="checksum">Append XXH64's low four bytes to each frame, so that damage is found without a digest.</param>
    public ZstdCompressor(int level, bool checksum = true)
    {
        _context = CompressionContext.Rent();
        Level = level;
        Configure(_context, level, checksum);
    }

    /// <summary>Lowest level of this library; large negative.</summary>
    public static int MinLevel => ZstdLibrary.Version is not null ? NativeZstd.MinLevel() : 0;

    /// <summary>Highest level of this library: 22.</summary>
    public static int MaxLevel => ZstdLibrary.Version is not null ? NativeZstd.MaxLevel() : 0;

    public int Level { get; }

    /// <summary>Most bytes that a frame of <paramref name="length"/> raw bytes can take.</summary>
    public static int Bound(int length)
    {
        ZstdLibrary.EnsureAvailable();
        return checked((int)NativeZstd.CompressBound((nuint)length));
    }

    /// <summary>Writes one frame and returns its length. <paramref name="destination"/> has at least <see cref="Bound"/> bytes.</summary>
    public unsafe int Compress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        fixed (byte* from = source, to = destination)
        {
            return (int)ZstdErrors.CheckCompression(NativeZstd.Compress2(_context, to, (nuint)destination.Length, from, (nuint)source.Length));
        }
    }

    /// <summary>Like <see cref="Compress(ReadOnlySpan{byte}, Span{byte})"/> into less than <see cref="Bound"/> bytes: false if the frame does not fit.</summary>
    public unsafe bool TryCompress(ReadOnlySpan<byte> source, Span<byte> destination, out int written)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        fixed (byte* from = source, to = destination)
        {
            nuint length = NativeZstd.Compress2(_context, to, (nuint)destination.Length, from, (nuint)source.Length);
            if (ZstdErrors.IsError(length) && NativeZstd.GetErrorCode(length) == NativeZstd.ErrorDestinationTooSmall)
            {
                // The library is left in the middle of a frame.
                ZstdErrors.CheckCompression(NativeZstd.ResetCCtx(_context, NativeZstd.ResetSessionOnly));
                written = 0;
                return false;
            }

            written = (int)ZstdErrors.CheckCompression(length);
            return true;
        }
    }

    /// <summary>Like <see cref="Compress(ReadOnlySpan{byte}, Span{byte})"/> into an array of its own.</summary>
    public byte[] Compress(ReadOnlySpan<byte> source)
    {
        byte[] frame = new byte[Bound(source.Length)];
        Array.Resize(ref frame, Compress(source, frame));
        return frame;
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _context.Return();
        }
    }

    internal static void Configure(CompressionContext context, int level, bool checksum)
    {
        ZstdErrors.CheckCompression(NativeZstd.SetParameter(context, NativeZstd.CompressionLevel, level));
        ZstdErrors.CheckCompression(NativeZstd.SetParameter(context, NativeZstd.ChecksumFlag, checksum ? 1 : 0));
        ZstdErrors.CheckCompression(NativeZstd.SetParameter(context, NativeZstd.ContentSizeFlag, 1));
    }
}
