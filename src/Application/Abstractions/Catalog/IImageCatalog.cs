using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>
/// The images that this proxy has indexed: the write side. Safe for concurrent use, also by several proxies on one database.
/// Fails with Unavailable <c>Catalog.Unavailable</c> when the database cannot be reached.
/// </summary>
public interface IImageCatalog
{
    Task<IndexedImage?> FindImageAsync(Digest manifest, CancellationToken cancellationToken);

    Task<IndexedLayer?> FindLayerAsync(Digest blob, CancellationToken cancellationToken);

    /// <summary>What is in a layer, from memory or, if it is large, from the catalog. The caller disposes it.</summary>
    /// <exception cref="FailureException">Unavailable <c>Layer.Collected</c>: it is not in the catalog any more.</exception>
    Task<LayerIndex> OpenIndexAsync(IndexedLayer layer, CancellationToken cancellationToken);

    /// <summary>The repositories that an image was notified from, the latest first. None for an image that is not known.</summary>
    Task<IReadOnlyList<ImageOrigin>> FindOriginsAsync(Digest manifest, CancellationToken cancellationToken);

    /// <summary>Those of the layers that were read in the registry, or in the one repository of it, or belong to an image that was notified from there.</summary>
    Task<IReadOnlySet<Digest>> FindLayersFromAsync(IReadOnlyCollection<Digest> layers, string registry, string? repository, CancellationToken cancellationToken);

    /// <summary>
    /// Stores what was found out about a layer, which is true whatever image lists it, and where it was read. A layer that is stored already stays as it is.
    /// </summary>
    /// <param name="layer">The layer; its index does not matter, its members do.</param>
    /// <param name="index">Its entries in their binary form, in pieces that follow each other. A large index is never in memory as a whole.</param>
    /// <param name="origin">Where it was read.</param>
    /// <param name="cancellationToken">Nothing is stored then.</param>
    /// <returns>The layer as <see cref="FindLayerAsync"/> gives it.</returns>
    Task<IndexedLayer> RecordLayerAsync(IndexedLayer layer, IReadOnlyList<ReadOnlyMemory<byte>> index, ImageOrigin origin, CancellationToken cancellationToken);

    /// <summary>
    /// Stores everything of <paramref name="notification"/> in one transaction and lets the tag stand for its images. What is stored
    /// already stays as it is; repeating the call changes nothing.
    /// </summary>
    /// <exception cref="FailureException">Unavailable <c>Layer.Collected</c>: a large layer of it is not in the catalog any more.</exception>
    Task RecordAsync(Notification notification, CancellationToken cancellationToken);
}
