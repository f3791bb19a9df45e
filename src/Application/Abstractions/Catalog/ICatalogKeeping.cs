using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>An image of the catalog in short.</summary>
/// <param name="Names">Tags that stand for it, itself or through an index.</param>
/// <param name="Size">Length of its layers' blobs in bytes.</param>
/// <param name="ContentBytes">Length of its distinct contents in bytes.</param>
/// <param name="UsedAt">When somebody wanted it last, to an hour or so.</param>
public sealed record CatalogImage(
    Digest Digest, Platform Platform, IReadOnlyList<string> Names, int Layers, long Size, int Files, long ContentBytes, DateTimeOffset IndexedAt, DateTimeOffset UsedAt);

/// <summary>An image of the catalog with everything an operator may want to know of it.</summary>
public sealed record CatalogImageDetails(CatalogImage Image, Digest FilesystemDigest, IReadOnlyList<CatalogLayer> Layers, IReadOnlyList<ImageOrigin> Origins);

/// <param name="HasMembers">Single contents of it can be read from the registry.</param>
public sealed record CatalogLayer(Digest Digest, long Size, bool IsEStargz, bool HasMembers);

/// <summary>What was taken out of a catalog.</summary>
public sealed record CatalogRemoval(int Tags, int Images, int Layers, int Indexes);

/// <summary>Rows of a catalog, and the bytes that blobs take in it.</summary>
public sealed record CatalogCounts(long Tags, long Images, long Layers, long Indexes);

/// <summary>The operator's side of the catalog. Safe for concurrent use, also by several proxies on one database.</summary>
public interface ICatalogKeeping
{
    /// <summary>Every image, by name, then those without one.</summary>
    Task<IReadOnlyList<CatalogImage>> ListAsync(CancellationToken cancellationToken);

    /// <summary>Null if the image is not known.</summary>
    Task<CatalogImageDetails?> ShowAsync(Digest manifest, CancellationToken cancellationToken);

    /// <summary>Digests of every image.</summary>
    Task<IReadOnlyList<Digest>> ListDigestsAsync(CancellationToken cancellationToken);

    Task<CatalogCounts> CountAsync(CancellationToken cancellationToken);

    /// <summary>Says that somebody wants these images now.</summary>
    Task TouchAsync(IReadOnlyCollection<Digest> manifests, CancellationToken cancellationToken);

    /// <summary>Lets a tag stand for nothing. What it stood for stays until it is collected.</summary>
    Task<CatalogRemoval> DeleteTagAsync(ImageReference reference, CancellationToken cancellationToken);

    /// <summary>Removes an image with the tags that stand for it, or an index with its tags; its images are then without a name unless another tag has them.</summary>
    Task<CatalogRemoval> DeleteDigestAsync(Digest manifestOrIndex, CancellationToken cancellationToken);

    /// <summary>Removes images that nobody can ask for any more (<see cref="CatalogGraph.Unreachable"/>), layers of no image and indexes of no tag and no image.</summary>
    /// <param name="unusedSince">What was used or indexed after this stays.</param>
    /// <param name="cancellationToken">Nothing is removed then.</param>
    Task<CatalogRemoval> CollectAsync(DateTimeOffset unusedSince, CancellationToken cancellationToken);
}

/// <summary>The operator's side of the bundles that are kept.</summary>
public interface IBundleKeeping
{
    /// <summary>Finished bundles and their bytes on disk, and how many are being built.</summary>
    (int Count, long Bytes, int Building) Usage { get; }

    /// <summary>Removes bundles of images that are not known any more. Who is reading one keeps it until the end.</summary>
    /// <returns>Bundles removed, and their bytes.</returns>
    (int Count, long Bytes) Collect(Predicate<Digest> isKnown);
}
