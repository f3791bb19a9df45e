using System.Buffers;
using System.Buffers.Binary;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles.Patches;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.Bundles;

/// <summary>The block section: records are read, checked, decompressed and cut into contents, one at a time.</summary>
public sealed partial class BundleReader
{
    private Stream _stream;

    /// <summary>Index of the content that the next byte belongs to, and how many of its bytes have been handed out.</summary>
    private int _content;
    private long _contentOffset;

    private BundlePosition _position;
    private BundlePosition _restart;

    /// <summary>A block of the content that is being handed out was a patch.</summary>
    private bool _patched;

    /// <summary>A block was being handed out: after an exception nobody knows how far the sink got.</summary>
    private bool _handingOut;

    /// <summary>Up to here everything has been handed to the sink: where this reader goes on after <see cref="Resume(Stream)"/>.</summary>
    public BundlePosition Position => _position;

    /// <summary>The last position at which no content was half handed out: where another reader of the same bundle can go on, e.g. after a restart of the process.</summary>
    public BundlePosition RestartPosition => _restart;

    /// <summary>Every content has been handed out and the trailer was right.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Raw bytes handed out so far, blocks before a restart included.</summary>
    public long ContentPosition { get; private set; }

    /// <summary>Hands out all contents that have not been, then checks the trailer. After <c>Bundle.Truncated</c> the reader can be resumed, after anything else not.</summary>
    /// <param name="sink">The same one as before if this reader was resumed.</param>
    /// <param name="cancellationToken">Stops between reads; the reader can be resumed unless the sink was at work.</param>
    /// <exception cref="FailureException">
    /// Unavailable <c>Bundle.Truncated</c>, DataCorrupt <c>Bundle.Corrupt</c> with the offset or <c>Bundle.BaseDamaged</c>, Unsupported <c>Bundle.TooNew</c>; what the sink throws.
    /// </exception>
    public async Task ReadContentsAsync(IBundleContentSink sink, CancellationToken cancellationToken)
    {
        _ = Contents;
        if (_handingOut)
        {
            throw new InvalidOperationException("the sink has failed: the reader does not know what it has");
        }

        byte[] header = new byte[BlockRecord.HeaderLength];
        byte[] stored = ArrayPool<byte>.Shared.Rent(BlockRecord.MaxStoredLength);
        byte[] raw = ArrayPool<byte>.Shared.Rent(BundleFormat.MaxBlockLength);
        try
        {
            using ZstdDecompressor decompressor = new();
            while (_position.Block < BlockCount)
            {
                BlockRecord record = await ReadRecordAsync(header, stored, cancellationToken);
                Memory<byte> block = Decode(record, stored, raw, decompressor);
                _handingOut = true;
                await HandOutAsync(block, record.Kind == BlockKind.Patch, sink, cancellationToken);
                _handingOut = false;
                Advance(BlockRecord.HeaderLength + record.StoredLength);
            }

            if (!IsComplete)
            {
                await ReadTrailerAsync(header, stored, cancellationToken);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(stored);
            ArrayPool<byte>.Shared.Return(raw);
        }
    }

    /// <summary>Goes on with a new stream that begins at <see cref="Position"/>.</summary>
    public void Resume(Stream rest) => _stream = rest;

    /// <summary>Goes on with a new stream from a place where another reader of the same bundle stood (its <see cref="RestartPosition"/>); contents before it are not handed out.</summary>
    /// <exception cref="ArgumentException">The position is not between two contents of this bundle.</exception>
    public void Resume(Stream rest, BundlePosition position)
    {
        if (position.Block < 0 || position.Block > BlockCount || position.Offset < HeaderLength)
        {
            throw new ArgumentException("there is no such block", nameof(position));
        }

        long left = 0;
        for (int block = 0; block < position.Block; block++)
        {
            left += _plan.BlockLengths[block];
        }

        ContentPosition = left;
        int content = 0;
        while (left > 0)
        {
            left -= Contents[content++].Size;
        }

        if (left < 0)
        {
            throw new ArgumentException("a content is only half before this position", nameof(position));
        }

        (_content, _contentOffset) = (content, 0);
        _position = _restart = position;
        _stream = rest;
    }

    private async Task<BlockRecord> ReadRecordAsync(byte[] header, byte[] stored, CancellationToken cancellationToken)
    {
        string where = $"after {_position.Block} of {BlockCount} blocks";
        await ReadExactlyAsync(_stream, header, _position.Offset, where, cancellationToken);
        BlockRecord record = BlockRecord.Read(header, _position.Offset);
        await ReadExactlyAsync(_stream, stored.AsMemory(0, record.StoredLength), _position.Offset + header.Length, where, cancellationToken);
        return record.IsIntact(header, stored.AsSpan(0, record.StoredLength))
            ? record
            : throw BundleErrors.Corrupt(_position.Offset, "a block record's checksum is wrong");
    }

    private Memory<byte> Decode(BlockRecord record, byte[] stored, byte[] raw, ZstdDecompressor decompressor)
    {
        int length = _plan.BlockLengths[_position.Block];
        switch (record.Kind)
        {
            case BlockKind.Raw when record.StoredLength == length:
                return stored.AsMemory(0, length);
            case BlockKind.Zstd when record.StoredLength < length:
                try
                {
                    decompressor.Decompress(stored.AsSpan(0, record.StoredLength), raw.AsSpan(0, length));
                }
                catch (FailureException e)
                {
                    throw BundleErrors.Corrupt(_position.Offset, e.Message, e);
                }

                return raw.AsMemory(0, length);
            case BlockKind.Patch when record.StoredLength < length:
                ApplyPatch(stored.AsSpan(0, record.StoredLength), raw.AsMemory(0, length), decompressor);
                return raw.AsMemory(0, length);
            case BlockKind.Raw or BlockKind.Zstd or BlockKind.Patch or BlockKind.End:
                throw BundleErrors.Corrupt(_position.Offset, $"block {_position.Block} has another length than the plan says");
            default:
                throw BundleErrors.TooNew($"a block of kind {(int)record.Kind}");
        }
    }

    /// <summary>The payload is at most as long as the block, so both fit into buffers of the same size.</summary>
    private void ApplyPatch(ReadOnlySpan<byte> frame, Memory<byte> block, ZstdDecompressor decompressor)
    {
        byte[] payload = ArrayPool<byte>.Shared.Rent(block.Length);
        try
        {
            if (ZstdDecompressor.ReadContentSize(frame) is not { } length || length > block.Length)
            {
                throw new FormatException("a patch is longer than what it makes");
            }

            decompressor.Decompress(frame, payload.AsSpan(0, (int)length));
            using PatchTargets targets = new(_bases, Contents, _content, _contentOffset, block.Length);
            PatchPayload.Apply(payload.AsMemory(0, (int)length), targets.Parts, block.Span);
        }
        catch (Exception e) when (e is FormatException or FailureException { Error.Code: "Zstd.Corrupt" })
        {
            throw BundleErrors.Corrupt(_position.Offset, e.Message, e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(payload);
        }
    }

    private async Task HandOutAsync(Memory<byte> block, bool isPatch, IBundleContentSink sink, CancellationToken cancellationToken)
    {
        while (block.Length > 0)
        {
            ContentRef content = _contents![_content];
            int length = (int)Math.Min(block.Length, content.Size - _contentOffset);
            _patched = (_patched && _contentOffset > 0) || isPatch;
            try
            {
                await HandOutAsync(content, block[..length], sink, cancellationToken);
            }
            catch (FailureException e) when (e.Error.Kind == ErrorKind.DataCorrupt && _patched && _bases.BaseOf(_content) is { } old)
            {
                throw BundleErrors.BaseDamaged(content.Digest, old.Digest, e);
            }

            _contentOffset += length;
            if (_contentOffset == content.Size)
            {
                (_content, _contentOffset) = (_content + 1, 0);
            }

            ContentPosition += length;
            block = block[length..];
        }
    }

    private async ValueTask HandOutAsync(ContentRef content, Memory<byte> bytes, IBundleContentSink sink, CancellationToken cancellationToken)
    {
        if (bytes.Length == content.Size)
        {
            await sink.PutAsync(content, bytes, cancellationToken);
            return;
        }

        if (_contentOffset == 0)
        {
            await sink.BeginAsync(content, cancellationToken);
        }

        await sink.WriteAsync(bytes, cancellationToken);
        if (_contentOffset + bytes.Length == content.Size)
        {
            await sink.CompleteAsync(cancellationToken);
        }
    }

    private void Advance(int recordLength)
    {
        _position = new BundlePosition(_position.Block + 1, _position.Offset + recordLength);
        if (_contentOffset == 0)
        {
            _restart = _position;
        }
    }

    private async Task ReadTrailerAsync(byte[] header, byte[] stored, CancellationToken cancellationToken)
    {
        BlockRecord record = await ReadRecordAsync(header, stored, cancellationToken);
        if (record.Kind != BlockKind.End && record.Kind is not (BlockKind.Zstd or BlockKind.Raw or BlockKind.Patch))
        {
            throw BundleErrors.TooNew($"a block of kind {(int)record.Kind}");
        }

        if (record.Kind != BlockKind.End
            || record.StoredLength != sizeof(long)
            || BinaryPrimitives.ReadInt64LittleEndian(stored) != _position.Offset + BlockRecord.TrailerLength)
        {
            throw BundleErrors.Corrupt(_position.Offset, "the trailer is wrong");
        }

        IsComplete = true;
    }
}
