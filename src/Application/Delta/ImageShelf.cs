using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>What a bundle needs of an image.</summary>
internal sealed record ShelvedImage(OrderedImage Ordered, Digest FilesystemDigest, ReadOnlyMemory<byte> Unit)
{
    /// <summary>A list entry has a digest and a length, an order entry a digest.</summary>
    public long Bytes => 256 + (Ordered.Contents.Count * (Digest.Size + 8L)) + (Ordered.Order.Count * (long)Digest.Size) + Unit.Length;
}

/// <summary>
/// Content lists, orders and header units of the images asked for lately, so that a bundle's first byte waits for neither database nor compressor. Images are
/// immutable, so nothing here ever goes stale.
/// </summary>
internal sealed class ImageShelf(IImageCatalog catalog, IFilesystemImages filesystems)
{
    /// <summary>An image of 10,000 contents takes 1.5 MB: about forty of them. Arbitrary.</summary>
    private const long MaxBytes = 64L << 20;

    private readonly BoundedCache<Digest, ShelvedImage> _images = new(MaxBytes, image => image.Bytes);

    /// <exception cref="FailureException">NotFound <c>Image.NotIndexed</c>.</exception>
    public Task<ShelvedImage> GetAsync(Digest manifest, CancellationToken cancellationToken) => _images.GetAsync(
        manifest,
        async () =>
        {
            IndexedImage image = await catalog.FindImageAsync(manifest, CancellationToken.None)
                ?? throw new FailureException(new Error("Image.NotIndexed", $"the image {manifest} was removed a moment ago: notify it again", ErrorKind.NotFound));
            IReadOnlyList<ContentRef> contents = filesystems.ReadContents(image.Filesystem).Contents;
            Digest[] order = [.. image.Order.Select(index => contents[index].Digest)];
            return new ShelvedImage(new OrderedImage(contents, order, image.HotCount), image.FilesystemDigest, image.Unit);
        },
        cancellationToken);
}
