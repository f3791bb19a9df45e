using System.Buffers;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Bundles.Patches;

/// <summary>
/// Gives each block of a plan the old bytes that its contents are compared with. Blocks come in stream order. Of an old content up to <see cref="WindowedBase.WindowLength"/> all
/// is in memory, once for all pieces of the new one; of a larger one a window. The caller releases the windows of the parts.
/// </summary>
internal sealed class BaseFeed(DeltaPlan plan, OpenContent open, string scratch) : IDisposable
{
    private int _patch; // the first patch whose content is not complete
    private int _content;
    private long _offset; // of the next block in the content
    private BaseWindow? _whole;
    private WindowedBase? _windowed;

    /// <summary>The parts of the next block; null if none of them has a base.</summary>
    public async ValueTask<IReadOnlyList<FreshPart>?> NextAsync(ReadOnlyMemory<byte> block, CancellationToken cancellationToken)
    {
        if (_patch == plan.Patches.Count)
        {
            return null;
        }

        List<FreshPart> parts = [];
        bool any = false;
        while (block.Length > 0)
        {
            long size = plan.Contents[_content].Content.Size;
            int length = (int)Math.Min(block.Length, size - _offset);
            bool hasBase = _patch < plan.Patches.Count && plan.Patches[_patch].Position == _content;
            BaseWindow? window = hasBase ? await WindowAsync(plan.Patches[_patch].Base, block[..length], cancellationToken) : null;
            parts.Add(new FreshPart(length, _offset, window?.Retain()));
            any |= hasBase;
            block = block[length..];
            _offset += length;
            if (_offset == size)
            {
                Leave();
                (_content, _offset) = (_content + 1, 0);
                _patch += hasBase ? 1 : 0;
            }
        }

        return any ? parts : null;
    }

    public void Dispose() => Leave();

    private async ValueTask<BaseWindow> WindowAsync(ContentRef old, ReadOnlyMemory<byte> piece, CancellationToken cancellationToken)
    {
        if (old.Size > WindowedBase.WindowLength)
        {
            if (_windowed is null)
            {
                await using Stream stream = await open(old, cancellationToken);
                _windowed = await WindowedBase.SpoolAsync(old, stream, scratch, cancellationToken);
            }

            return _windowed.WindowFor(piece.Span, _offset);
        }

        return _whole ??= await ReadAsync(old, cancellationToken);
    }

    private async Task<BaseWindow> ReadAsync(ContentRef content, CancellationToken cancellationToken)
    {
        int length = (int)content.Size;
        byte[] rented = ArrayPool<byte>.Shared.Rent(length);
        await using Stream stream = await open(content, cancellationToken);
        int read = await stream.ReadAtLeastAsync(rented.AsMemory(0, length), length, throwOnEndOfStream: false, cancellationToken);

        // A patch against other bytes than the worker has would be refused by every worker.
        return read == length && Digest.Of(rented.AsSpan(0, length)) == content.Digest
            ? new BaseWindow(rented.AsMemory(0, length), offset: 0, rented)
            : throw BundleErrors.ContentMismatch(content, "its bytes in the store have another length or digest");
    }

    private void Leave()
    {
        _whole?.Release();
        _whole = null;
        _windowed?.Dispose();
        _windowed = null;
    }
}
