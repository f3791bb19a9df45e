using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>What a bundle needs of an image.</summary>
/// <param name="Known">The image as what others are patched from.</param>
internal sealed record ShelvedImage(Digest Manifest, OrderedImage Ordered, KnownImage Known, ReadOnlyMemory<byte> Unit)
{
    public Digest FilesystemDigest => Known.Filesystem;

    /// <summary>A list entry has a digest and a length, an order entry a digest.</summary>
    public long Bytes => 256 + (Ordered.Contents.Count * (Digest.Size + 8L)) + (Ordered.Order.Count * (long)Digest.Size) + Known.Names.Bytes + Unit.Length;
}

/// <summary>
/// Content lists, orders and header units of the images asked for lately, so that a bundle's first byte waits for neither database nor compressor. Images are
/// immutable, so nothing here ever goes stale.
/// </summary>
internal sealed class ImageShelf(IImageCatalog catalog, IFilesystemImages filesystems, IBundleFormat format)
{
    /// <summary>An image of 10,000 contents takes 1.9 MB: about thirty of them. Arbitrary.</summary>
    private const long MaxBytes = 64L << 20;

    /// <summary>A patched unit takes some 20 KB: hundreds of them. Arbitrary.</summary>
    private const long MaxPatchedBytes = 16L << 20;

    /// <summary>Units for workers that have a relative; empty memory where a patch would not be shorter.</summary>
    private readonly BoundedCache<(Digest Wanted, Digest Base), ReadOnlyMemory<byte>> _patched = new(MaxPatchedBytes, unit => 128 + unit.Length);

    private readonly BoundedCache<Digest, ShelvedImage> _images = new(MaxBytes, image => image.Bytes);

    /// <exception cref="FailureException">NotFound <c>Image.NotIndexed</c>.</exception>
    public Task<ShelvedImage> GetAsync(Digest manifest, CancellationToken cancellationToken) => _images.GetAsync(
        manifest,
        async () =>
        {
            IndexedImage image = await catalog.FindImageAsync(manifest, CancellationToken.None)
                ?? throw new FailureException(new Error("Image.NotIndexed", $"the image {manifest} was removed a moment ago: notify it again", ErrorKind.NotFound));
            KnownImage known = filesystems.ReadNames(image.Filesystem);
            Digest[] order = [.. image.Order.Select(index => known.Contents[index].Digest)];
            return new ShelvedImage(manifest, new OrderedImage(known.Contents, order, image.HotCount), known, image.Unit);
        },
        cancellationToken);

    /// <summary>The image's unit for a worker that has <paramref name="old"/>: what differs if that is shorter, else all of it.</summary>
    public async Task<ReadOnlyMemory<byte>> UnitAsync(ShelvedImage image, ShelvedImage old, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> patched = await _patched.GetAsync(
            (image.Manifest, old.Manifest), () => Task.Run(() => format.PatchUnit(image.Unit, old.Unit) ?? ReadOnlyMemory<byte>.Empty), cancellationToken);
        return patched.IsEmpty ? image.Unit : patched;
    }
}
