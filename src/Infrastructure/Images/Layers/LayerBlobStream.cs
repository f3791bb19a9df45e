using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>
/// A layer blob on its way to the decompressor. Lets the first bytes be looked at before they are read, and remembers the last ones, because that a blob is eStargz only
/// shows in its footer.
/// </summary>
/// <param name="blob">Stays the caller's.</param>
/// <param name="progress">Receives bytes read since the last call.</param>
internal sealed class LayerBlobStream(Stream blob, IProgress<long>? progress) : ForwardReadStream
{
    private readonly byte[] _head = new byte[4];
    private readonly byte[] _tail = new byte[EStargz.EStargzFooter.MaxLength];
    private int _headLength;
    private int _headRead;
    private int _tailLength;

    /// <summary>Compressed bytes read so far.</summary>
    public long BytesRead { get; private set; }

    /// <summary>The last bytes read, up to the length of the longest footer.</summary>
    public ReadOnlySpan<byte> Tail => _tail.AsSpan(_tail.Length - _tailLength);

    /// <summary>The first four bytes, fewer of a shorter blob. Call before the first read.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> PeekAsync(CancellationToken cancellationToken)
    {
        _headLength = await blob.ReadAtLeastAsync(_head, _head.Length, throwOnEndOfStream: false, cancellationToken);
        return _head.AsMemory(0, _headLength);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read;
        if (_headRead < _headLength)
        {
            read = Math.Min(buffer.Length, _headLength - _headRead);
            _head.AsSpan(_headRead, read).CopyTo(buffer.Span);
            _headRead += read;
        }
        else
        {
            read = await blob.ReadAsync(buffer, cancellationToken);
        }

        BytesRead += read;
        progress?.Report(read);
        Remember(buffer.Span[..read]);
        return read;
    }

    /// <summary>Reads to the end of the blob: a source checks its digest only there.</summary>
    /// <returns>True if there was nothing left.</returns>
    public async ValueTask<bool> DrainAsync(CancellationToken cancellationToken)
    {
        byte[] rest = new byte[4096];
        long before = BytesRead;
        while (await ReadAsync(rest, cancellationToken) > 0)
        {
        }

        return BytesRead == before;
    }

    private void Remember(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length >= _tail.Length)
        {
            bytes[^_tail.Length..].CopyTo(_tail);
        }
        else
        {
            _tail.AsSpan(bytes.Length).CopyTo(_tail);
            bytes.CopyTo(_tail.AsSpan(_tail.Length - bytes.Length));
        }

        _tailLength = Math.Min(_tail.Length, _tailLength + bytes.Length);
    }
}
