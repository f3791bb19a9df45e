using System.Buffers;
using System.Security.Cryptography;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.Tar;

/// <summary>
/// Reads a tar stream once, front to back, in bounded memory: v7, ustar, pax, GNU and star headers, all GNU sparse formats. Hashes every byte of the stream on the
/// way (the layer's diff ID). What is an error and what is tolerated follows Go's archive/tar, on which every container runtime is built, so that a layer
/// means the same here and there; in particular global pax headers are checked but not applied, and links have no content whatever their size field says.
/// Not thread-safe. The framework's own reader decodes names as UTF-8 and hides the raw headers, so it cannot be used.
/// </summary>
internal sealed partial class TarReader : IDisposable
{
    /// <summary>One read from the decompressor and one slice for the sink at most. 256 KiB keeps per-call costs below 1 % of hashing.</summary>
    private const int BufferSize = 256 * 1024;

    /// <summary>Longest body of one extension header (pax, GNU long name), as in Go's archive/tar (maxSpecialFileSize).</summary>
    private const int MaxExtensionSize = 1024 * 1024;

    /// <summary>All headers of one entry together. Arbitrary; an honest entry has a few kilobytes.</summary>
    private const int MaxHeadersSize = 4 * 1024 * 1024;

    private readonly Stream _tar;
    private readonly IncrementalHash _diffHash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
    private readonly ArrayBufferWriter<byte> _headers = new(4 * TarHeader.BlockSize);
    private int _start;
    private int _end;
    private long _length;
    private bool _atEnd;

    /// <param name="tar">Uncompressed; stays the caller's.</param>
    public TarReader(Stream tar) => _tar = tar;

    /// <summary>Bytes of the tar read so far; its length after <see cref="DrainAsync"/>.</summary>
    public long Length => _length;

    /// <summary>Where the tar has the first header of the entry that was read last, and at its end what follows the last entry.</summary>
    public long EntryOffset { get; private set; }

    public void Dispose()
    {
        _diffHash.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
    }

    /// <summary>Reads whatever follows the end of the archive and returns the sha256 of the whole stream. Call once, after the last entry.</summary>
    public async ValueTask<Digest> DrainAsync(CancellationToken cancellationToken)
    {
        do
        {
            _start = _end;
        }
        while (await FillAsync(cancellationToken));

        return new Digest(_diffHash.GetHashAndReset());
    }

    /// <summary>Reads more into the buffer, which must have room. False at the end of the stream.</summary>
    private async ValueTask<bool> FillAsync(CancellationToken cancellationToken)
    {
        if (_atEnd)
        {
            return false;
        }

        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_end == BufferSize)
        {
            _buffer.AsSpan(_start.._end).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        int read = await _tar.ReadAsync(_buffer.AsMemory(_end, BufferSize - _end), cancellationToken);
        if (read == 0)
        {
            _atEnd = true;
            return false;
        }

        _diffHash.AppendData(_buffer, _end, read);
        _end += read;
        _length += read;
        return true;
    }

    /// <summary>Makes one whole block available at <c>_start</c>. False if the stream ends exactly before it.</summary>
    private async ValueTask<bool> HaveBlockAsync(CancellationToken cancellationToken)
    {
        while (_end - _start < TarHeader.BlockSize)
        {
            if (!await FillAsync(cancellationToken))
            {
                return _end == _start ? false : throw LayerFailures.Malformed("the tar ends inside a block");
            }
        }

        return true;
    }

    private ReadOnlySpan<byte> PeekBlock() => _buffer.AsSpan(_start, TarHeader.BlockSize);

    /// <summary>Consumes the block at <c>_start</c>, keeping a copy with the entry's headers.</summary>
    private void TakeHeaderBlock()
    {
        if (_headers.WrittenCount + TarHeader.BlockSize > MaxHeadersSize)
        {
            throw LayerFailures.TooLarge($"the headers of one entry exceed {MaxHeadersSize} bytes");
        }

        _headers.Write(PeekBlock());
        _start += TarHeader.BlockSize;
    }

    private async ValueTask SkipAsync(long count, CancellationToken cancellationToken)
    {
        while (count > 0)
        {
            if (_start == _end && !await FillAsync(cancellationToken))
            {
                throw LayerFailures.Malformed("the tar ends inside an entry");
            }

            int step = (int)Math.Min(count, _end - _start);
            _start += step;
            count -= step;
        }
    }

    private static long PaddingOf(long size) => -size & (TarHeader.BlockSize - 1);
}
