using System.Threading.Channels;
using Starlight.Domain.References;

namespace Starlight.Application.Preparation;

/// <summary>Images that this proxy has just recorded, or whose order has changed, for whoever prepares their bundles. One writer too many loses the oldest: preparing is a favour.</summary>
public sealed class ImagesToPrepare
{
    /// <summary>Arbitrary; a registry that is indexed for the first time brings thousands, and nobody has earlier versions of those.</summary>
    private const int MaxWaiting = 256;

    private readonly Channel<ImageReference> _waiting = Channel.CreateBounded<ImageReference>(new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.DropOldest });

    /// <summary>Does not wait.</summary>
    public void Announce(ImageReference image) => _waiting.Writer.TryWrite(image);

    public IAsyncEnumerable<ImageReference> ReadAllAsync(CancellationToken cancellationToken) => _waiting.Reader.ReadAllAsync(cancellationToken);
}
