using System.Security.Cryptography;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Bundles;

/// <summary>
/// Gives the contents of a plan as one byte string, end to end. Each is checked against its size and digest when its last byte has been read: a damaged store must not
/// send every worker into fetching again and again.
/// </summary>
internal sealed class ContentFeed(DeltaPlan plan, OpenContent open) : IAsyncDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private Stream? _content;
    private int _next;
    private long _left;

    /// <summary>Fills the buffer with the next bytes.</summary>
    public async Task ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (buffer.Length > 0)
        {
            ContentRef content = plan.Contents[_next].Content;
            if (_content is null)
            {
                _content = await open(content, cancellationToken);
                _left = content.Size;
            }

            int wanted = (int)Math.Min(_left, buffer.Length);
            int read = await _content.ReadAtLeastAsync(buffer[..wanted], wanted, throwOnEndOfStream: false, cancellationToken);
            if (read < wanted)
            {
                throw BundleErrors.ContentMismatch(content, $"the store has {content.Size - _left + read} of its {content.Size} bytes");
            }

            _hash.AppendData(buffer.Span[..read]);
            _left -= read;
            buffer = buffer[read..];
            if (_left == 0)
            {
                await CompleteAsync(content, cancellationToken);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _hash.Dispose();
        if (_content is not null)
        {
            await _content.DisposeAsync();
        }
    }

    private async Task CompleteAsync(ContentRef content, CancellationToken cancellationToken)
    {
        // A stream that verifies itself does so in the read that gives 0.
        if (await _content!.ReadAsync(new byte[1], cancellationToken) != 0)
        {
            throw BundleErrors.ContentMismatch(content, $"the store has more than its {content.Size} bytes");
        }

        if (Finish(_hash) != content.Digest)
        {
            throw BundleErrors.ContentMismatch(content, "its bytes in the store have another digest");
        }

        await _content.DisposeAsync();
        _content = null;
        _next++;
    }

    private static Digest Finish(IncrementalHash hash)
    {
        Span<byte> raw = stackalloc byte[Digest.Size];
        hash.GetHashAndReset(raw);
        return new Digest(raw);
    }
}
