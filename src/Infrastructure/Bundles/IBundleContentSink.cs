using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Bundles;

/// <summary>
/// Receives the contents of a bundle in stream order: each either by one Put, or by Begin, Writes that add up to its size, and Complete. Only the content's length has been
/// checked: the sink verifies the digest before anybody sees the content. Called by one task at a time; memory is valid only during the call.
/// What the sink throws goes to the caller of <see cref="BundleReader.ReadContentsAsync"/>, and the reader cannot be used any more.
/// </summary>
public interface IBundleContentSink
{
    ValueTask PutAsync(ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    ValueTask BeginAsync(ContentRef content, CancellationToken cancellationToken);

    ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    ValueTask CompleteAsync(CancellationToken cancellationToken);
}
