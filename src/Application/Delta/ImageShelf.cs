using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>What planning needs of an image.</summary>
internal sealed record ShelvedImage(OrderedImage Ordered, Digest FilesystemDigest)
{
    /// <summary>One list entry has a digest and a length, one order entry a digest.</summary>
    public long Bytes => 256 + (Ordered.Contents.Count * (Digest.Size + 8L)) + (Ordered.Order.Count * (long)Digest.Size);
}

/// <summary>
/// Content lists, orders and header units of the images asked for lately, so that a bundle's first byte waits for neither database nor compressor. Images are
/// immutable, so nothing here ever goes stale.
/// </summary>
internal sealed class ImageShelf(IImageCatalog catalog, IImageQueries queries, IFilesystemImages filesystems, IBundleFormat format)
{
    /// <summary>An image of 10,000 contents takes 0.7 MB: about ninety of them. Arbitrary.</summary>
    private const long MaxImageBytes = 64L << 20;

    /// <summary>A unit of such an image takes about 1 MB. Arbitrary.</summary>
    private const long MaxUnitBytes = 32L << 20;

    private readonly BoundedCache<Digest, ShelvedImage> _images = new(MaxImageBytes, image => image.Bytes);
    private readonly BoundedCache<(Digest Image, string Reference, Digest? Index), ReadOnlyMemory<byte>> _units = new(MaxUnitBytes, unit => unit.Length);

    public Task<ShelvedImage> GetImageAsync(Digest manifest, CancellationToken cancellationToken) => _images.GetAsync(
        manifest,
        async () =>
        {
            IndexedImage image = await FindImageAsync(manifest);
            FilesystemImageContents names = filesystems.ReadContents(image.Filesystem);
            Digest[] order = [.. image.Order.Select(index => names.Contents[index].Digest)];
            return new ShelvedImage(new OrderedImage(names.Contents, order, image.HotCount), image.FilesystemDigest);
        },
        cancellationToken);

    public Task<ReadOnlyMemory<byte>> GetUnitAsync(NamedImage named, ImageReference reference, CancellationToken cancellationToken) => _units.GetAsync(
        (named.Manifest, reference.ToString(), named.Index),
        async () =>
        {
            if (await queries.FindUnitAsync(named.Manifest, reference.ToString(), named.Index, CancellationToken.None) is { } prepared)
            {
                return prepared.Encoded;
            }

            // Asked for by another name than it was notified under, e.g. by digest.
            IndexedImage image = await FindImageAsync(named.Manifest);
            IndexedIndex? index = named.Index is { } digest ? await queries.FindIndexAsync(digest, CancellationToken.None) : null;
            return format.EncodeUnit(image.ForBundle(reference, index));
        },
        cancellationToken);

    private async Task<IndexedImage> FindImageAsync(Digest manifest) => await catalog.FindImageAsync(manifest, CancellationToken.None)
        ?? throw new FailureException(new Error("Image.NotIndexed", $"the image {manifest} was removed a moment ago: notify it again", ErrorKind.NotFound));
}
