using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>What a name stands for on one platform.</summary>
/// <param name="Manifest">The image.</param>
/// <param name="Index">The index that lists it under this name; null if the name stands for the manifest itself.</param>
/// <param name="Order">Names the order that its traces have taught (<see cref="IndexedOrder.Name"/>); null if there is none.</param>
public sealed record NamedImage(Digest Manifest, Digest? Index, Digest? Order = null);

/// <summary>Lookups of the catalog's read side: which image a name or a digest stands for. Safe for concurrent use.</summary>
public interface IImageQueries
{
    /// <summary>Every platform that the tag of <paramref name="reference"/> was notified for.</summary>
    Task<IReadOnlyDictionary<Platform, NamedImage>> FindByTagAsync(ImageReference reference, CancellationToken cancellationToken);

    /// <summary>
    /// The platforms of an image named by the digest of its manifest or of an index that lists it. Empty if neither is known. Tags that
    /// moved on do not matter: an image stays known under its digests.
    /// </summary>
    Task<IReadOnlyDictionary<Platform, NamedImage>> FindByDigestAsync(Digest manifestOrIndex, CancellationToken cancellationToken);

    Task<IndexedIndex?> FindIndexAsync(Digest index, CancellationToken cancellationToken);

    /// <summary>The repositories, as <c>registry/repository</c>, that the image was ever notified in, by tag or digest.</summary>
    Task<IReadOnlyList<string>> FindRepositoriesAsync(Digest manifest, CancellationToken cancellationToken);

    /// <summary>
    /// The tags that stand for the image, or for an index that lists it, unless a tag of its repository has been notified since for another image of its platform: by these names workers
    /// will ask for their update. In no order.
    /// </summary>
    Task<IReadOnlyList<ImageReference>> FindNewestTagsAsync(Digest manifest, CancellationToken cancellationToken);

    /// <summary>Images that were notified in the repository and have been wanted since, the one wanted last first.</summary>
    Task<IReadOnlyList<(Digest Manifest, Platform Platform)>> FindLastUsedAsync(string registry, string repository, int count, CancellationToken cancellationToken);
}
