using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Indexing;
using Starlight.Application.Refill;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>What a bundle needs of an image, or of its lowest layers.</summary>
internal sealed record ShelvedImage(OrderedImage Ordered, Digest FilesystemDigest, ReadOnlyMemory<byte> Unit)
{
    /// <summary>A list entry has a digest and a length, an order entry a digest.</summary>
    public long Bytes => 256 + (Ordered.Contents.Count * (Digest.Size + 8L)) + (Ordered.Order.Count * (long)Digest.Size) + Unit.Length;
}

/// <summary>
/// Content lists, orders and header units of the images asked for lately, so that a bundle's first byte waits for neither database nor compressor. Images are
/// immutable, so nothing here ever goes stale.
/// </summary>
internal sealed class ImageShelf(IImageCatalog catalog, IFilesystemImages filesystems, ImageAssembler assembler)
{
    /// <summary>An image of 10,000 contents takes 1.5 MB: about forty of them. Arbitrary.</summary>
    private const long MaxBytes = 64L << 20;

    private readonly BoundedCache<ShelfKey, ShelvedImage> _images = new(MaxBytes, image => image.Bytes);

    /// <param name="layers">
    /// Null for the image. A number for the tree of so many of its lowest layers: rarely wanted (another image is unpacked on top of them), so it is put together when
    /// asked for instead of being stored.
    /// </param>
    /// <exception cref="FailureException">NotFound <c>Image.NotIndexed</c>; InvalidInput <c>Delta.LayersOutOfRange</c>.</exception>
    public Task<ShelvedImage> GetAsync(Digest manifest, int? layers, CancellationToken cancellationToken) =>
        _images.GetAsync(new ShelfKey(manifest, layers), () => LoadAsync(manifest, layers), cancellationToken);

    private async Task<ShelvedImage> LoadAsync(Digest manifest, int? layers)
    {
        IndexedImage image = await catalog.FindImageAsync(manifest, CancellationToken.None) ?? throw Removed(manifest);
        if (layers is not { } count || count == image.Layers.Count)
        {
            IReadOnlyList<ContentRef> contents = filesystems.ReadContents(image.Filesystem).Contents;
            Digest[] order = [.. image.Order.Select(index => contents[index].Digest)];
            return new ShelvedImage(new OrderedImage(contents, order, image.HotCount), image.FilesystemDigest, image.Unit);
        }

        if (count > image.Layers.Count)
        {
            throw new FailureException(DeltaErrors.LayersOutOfRange(manifest, count, image.Layers.Count));
        }

        List<IndexedLayer> lowest = [];
        foreach (Digest layer in image.Layers.Take(count))
        {
            lowest.Add(await catalog.FindLayerAsync(layer, CancellationToken.None) ?? throw Removed(manifest));
        }

        ContentOrigin origin = new([.. lowest.AsEnumerable().Reverse().DistinctBy(l => l.Digest)], await catalog.FindOriginsAsync(manifest, CancellationToken.None));
        AssembledImage assembled = await assembler.AssembleAsync(lowest, ImageConfig.Parse(image.Config).Value, origin, CancellationToken.None);
        ReadOnlyMemory<byte> unit = assembler.EncodeUnit(image.Manifest, image.MediaType, image.Config, assembled);
        return new ShelvedImage(new OrderedImage(assembled.Names.Contents, assembled.Order.Digests, assembled.Order.HotCount), assembled.Names.Digest, unit);
    }

    private static FailureException Removed(Digest manifest) =>
        new(new Error("Image.NotIndexed", $"the image {manifest} was removed a moment ago: notify it again", ErrorKind.NotFound));

    private readonly record struct ShelfKey(Digest Manifest, int? Layers);
}
