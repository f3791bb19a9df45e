using Starlight.Domain.References;

namespace Starlight.Application.Abstractions.Proxies;

/// <summary>A proxy, asked in which order images are opened; directly or through a daemon.</summary>
public interface IImageOrders
{
    /// <summary>What the order of an image on each of its platforms begins with.</summary>
    /// <param name="reference">The image.</param>
    /// <param name="anyVersion">If the proxy does not know it, another version in its repository that was traced, the one wanted last.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">NotFound <c>Image.NotIndexed</c> if the proxy knows none; whatever keeps the proxy from answering.</exception>
    Task<IReadOnlyList<SentOrder>> FindAsync(ImageReference reference, bool anyVersion, CancellationToken cancellationToken);
}
