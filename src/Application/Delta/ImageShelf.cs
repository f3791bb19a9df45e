using System.Buffers;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Indexing;
using Starlight.Application.Refill;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>What a bundle needs of an image, or of its lowest layers.</summary>
/// <param name="Manifest">Of the image.</param>
/// <param name="FilesystemDigest">Of its tree, or of that of the lowest layers.</param>
/// <param name="Ordered">What to send.</param>
/// <param name="Names">What the contents are called: made when they are asked for if the image is large, since only those who have a relative of it need them.</param>
/// <param name="Unit">Its part of a header, without a name.</param>
/// <param name="Groups">Groups that the image was traced in, each with how long after the group's first container it starts; none if it has no traces.</param>
internal sealed record ShelvedImage(
    Digest Manifest, Digest FilesystemDigest, OrderedImage Ordered, Lazy<ContentNames> Names, ReadOnlyMemory<byte> Unit, IReadOnlyDictionary<string, TimeSpan> Groups)
{
    private static long _last;

    /// <summary>Another one each time an image is read: stands for this object, its order included, where keeping it would keep its memory.</summary>
    public long Number { get; } = Interlocked.Increment(ref _last);

    /// <summary>The tree as what others are patched from.</summary>
    public KnownImage Known { get; } = new(FilesystemDigest, Ordered.Contents, Names);

    /// <summary>A list entry has a digest and a length, an order entry a position. Names count before they are there.</summary>
    public long Bytes => 256 + (Ordered.Contents.Count * (Digest.Size + 8L + ContentNames.BytesOfOne)) + (Ordered.Order.Count * 4L) + ((Ordered.Moments?.Count ?? 0) * 8L) + Unit.Length;
}

/// <summary>
/// Content lists, orders and header units of the images asked for lately, so that a bundle's first byte waits for neither database nor compressor. Images are
/// immutable but for the order that traces teach, whose name is part of the key: nothing here ever goes stale.
/// </summary>
internal sealed class ImageShelf(IImageCatalog catalog, IFilesystemImages filesystems, ImageAssembler assembler, IBundleFormat format)
{
    /// <summary>An image of 10,000 contents takes 1.3 MB: about fifty of them. Arbitrary.</summary>
    private const long MaxBytes = 64L << 20;

    /// <summary>A patched unit takes some 20 KB: hundreds of them. Arbitrary.</summary>
    private const long MaxPatchedBytes = 16L << 20;

    /// <summary>Units for workers that have a relative; empty memory where a patch would not be shorter.</summary>
    private readonly BoundedCache<PatchKey, ReadOnlyMemory<byte>> _patched = new(MaxPatchedBytes, unit => 128 + unit.Length);

    private readonly SemaphoreSlim _large = new(1);

    private readonly BoundedCache<ShelfKey, ShelvedImage> _images = new(MaxBytes, image => image.Bytes);

    /// <param name="manifest">The image.</param>
    /// <param name="order">The name of its learned order, see <see cref="NamedImage.Order"/>.</param>
    /// <param name="layers">
    /// Null for the image. A number for the tree of so many of its lowest layers: rarely wanted (another image is unpacked on top of them), so it is put together when
    /// asked for instead of being stored.
    /// </param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="FailureException">NotFound <c>Image.NotIndexed</c>; InvalidInput <c>Delta.LayersOutOfRange</c>.</exception>
    public Task<ShelvedImage> GetAsync(Digest manifest, Digest? order, int? layers, CancellationToken cancellationToken) =>
        _images.GetAsync(new ShelfKey(manifest, order, layers), () => LoadAsync(manifest, layers), cancellationToken);

    private async Task<ShelvedImage> LoadAsync(Digest manifest, int? layers)
    {
        IndexedImage image = await catalog.FindImageAsync(manifest, CancellationToken.None) ?? throw Removed(manifest);
        if (layers is not { } count || count == image.Layers.Count)
        {
            (IReadOnlyList<ContentRef> contents, Lazy<ContentNames> contentNames) = await ReadOneAtATimeAsync(image);
            OrderedImage ordered = new(contents, image.Learned?.Order ?? image.Order, image.Learned?.HotCount ?? image.HotCount) { Moments = image.Learned?.Moments };
            return new ShelvedImage(manifest, image.FilesystemDigest, ordered, contentNames, image.Unit, image.Learned?.Groups ?? NoGroups);
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
        using AssembledImage assembled = await assembler.AssembleAsync(lowest, ImageConfig.Parse(image.Config).Value, origin, CancellationToken.None);
        ReadOnlyMemory<byte> unit = assembler.EncodeUnit(image.Manifest, image.MediaType, image.Config, assembled);
        KnownImage tree = filesystems.ReadNames(assembled.Filesystem.Bytes, assembled.Filesystem.Digest);
        ContentOrder partial = image.Learned is { } learned ? assembled.Order.Beginning(ContentOrder.PositionsOf(tree.Contents, HotOf(learned, Read(image).Contents))) : assembled.Order;
        return new ShelvedImage(manifest, tree.Filesystem, new OrderedImage(tree.Contents, partial.Indexes, partial.HotCount), new Lazy<ContentNames>(tree.Names), unit, NoGroups);
    }

    /// <summary>Large images take turns: each takes its length on the disk meanwhile, and stops everything else while what it leaves behind is given back.</summary>
    private async Task<(IReadOnlyList<ContentRef> Contents, Lazy<ContentNames> Names)> ReadOneAtATimeAsync(IndexedImage image)
    {
        if (image.ContentCount <= LargeImages.Contents)
        {
            return Read(image);
        }

        await _large.WaitAsync();
        try
        {
            return Read(image);
        }
        finally
        {
            LargeImages.ReleaseGarbage();
            _large.Release();
        }
    }

    /// <summary>Content list and names, the latter for later if there are many.</summary>
    private (IReadOnlyList<ContentRef> Contents, Lazy<ContentNames> Names) Read(IndexedImage image)
    {
        using IMemoryOwner<byte> filesystem = format.ReadFilesystem(image);
        if (image.ContentCount > LargeImages.Contents)
        {
            // A failure is not kept.
            return (filesystems.ReadContents(filesystem.Memory).Contents, new Lazy<ContentNames>(() => ReadNames(image), LazyThreadSafetyMode.PublicationOnly));
        }

        KnownImage known = filesystems.ReadNames(filesystem.Memory, image.FilesystemDigest);
        return (known.Contents, new Lazy<ContentNames>(known.Names));
    }

    private ContentNames ReadNames(IndexedImage image)
    {
        using IMemoryOwner<byte> filesystem = format.ReadFilesystem(image);
        return filesystems.ReadNames(filesystem.Memory, image.FilesystemDigest).Names;
    }

    /// <summary>The image's unit for a worker that has <paramref name="old"/>: what differs if that is shorter, else all of it.</summary>
    public async Task<ReadOnlyMemory<byte>> UnitAsync(ShelvedImage image, ShelvedImage old, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> patched = await _patched.GetAsync(
            new PatchKey(image.Manifest, image.FilesystemDigest, old.FilesystemDigest), () => Task.Run(() => format.PatchUnit(image.Unit, old.Unit) ?? ReadOnlyMemory<byte>.Empty), cancellationToken);
        return patched.IsEmpty ? image.Unit : patched;
    }

    private static IReadOnlyDictionary<string, TimeSpan> NoGroups { get; } = new Dictionary<string, TimeSpan>();

    private static Digest[] HotOf(IndexedOrder order, IReadOnlyList<ContentRef> contents) => [.. order.Order.Take(order.HotCount).Select(index => contents[index].Digest)];

    private static FailureException Removed(Digest manifest) =>
        new(new Error("Image.NotIndexed", $"the image {manifest} was removed a moment ago: notify it again", ErrorKind.NotFound));

    private readonly record struct ShelfKey(Digest Manifest, Digest? Order, int? Layers);

    private readonly record struct PatchKey(Digest Manifest, Digest Filesystem, Digest Base);
}
