using System.Buffers;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Preparation;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;

namespace Starlight.Application.Report;

/// <summary>
/// Makes the orders that traces teach and stores them with the images, so that planning a bundle reads one column. Made anew whenever a trace comes in: what is sent after that begins with what
/// containers open. Two proxies that do this for one image at once end with the order of the later trace, as <see cref="ITraces.SaveOrderAsync"/> compares revisions.
/// </summary>
internal sealed class LearnedOrders(IImageCatalog catalog, ITraces traces, IBundleFormat format, IFilesystemImages filesystems, ChangedOrders changed)
{
    /// <summary>Of the images that inherit from one that has got a trace, the newest: others are not deployed any more, or get traces of their own. Arbitrary; bounds the work of a report.</summary>
    private const int MaxHeirs = 8;

    /// <summary>The image has got a trace: its order, and those of images that inherit it.</summary>
    public async Task LearnAsync(Digest image, CancellationToken cancellationToken)
    {
        ImageTraces found = await traces.FindAsync(image, cancellationToken);
        if (found.Traces.Count == 0 || await catalog.FindImageAsync(image, cancellationToken) is not { } indexed)
        {
            return;
        }

        LearnedOrder learned = TraceMerge.Merge(found.Traces);
        await SaveAsync(indexed, OrderOf(indexed, ContentsOf(indexed), learned.Contents, learned, inheritedFrom: null, found.Revision), cancellationToken);
        foreach (RelatedImage heir in (await traces.FindRelativesAsync(image, cancellationToken)).Where(r => !r.HasTraces).Take(MaxHeirs))
        {
            await InheritAsync(heir.Image, cancellationToken);
        }
    }

    /// <summary>The image may be new: unless it has traces of its own, it takes over what is known of another version, or of an image with which it shares layers.</summary>
    public async Task InheritAsync(Digest image, CancellationToken cancellationToken)
    {
        IReadOnlyList<RelatedImage> relatives = await traces.FindRelativesAsync(image, cancellationToken);
        RelatedImage? source = relatives.FirstOrDefault(r => r is { IsVersion: true, HasTraces: true })
            ?? relatives.FirstOrDefault(r => r is { IsVersion: true, HasOrder: true })
            ?? relatives.FirstOrDefault(r => r.HasTraces);
        if (source is null
            || (await traces.FindAsync(image, cancellationToken)).Traces.Count > 0
            || await catalog.FindImageAsync(image, cancellationToken) is not { } heir
            || await catalog.FindImageAsync(source.Image, cancellationToken) is not { Learned: { } learned } from)
        {
            return;
        }

        using IMemoryOwner<byte> oldFilesystem = format.ReadFilesystem(from);
        using IMemoryOwner<byte> ownFilesystem = format.ReadFilesystem(heir);
        IReadOnlyList<ContentRef> contents = filesystems.ReadContents(oldFilesystem.Memory).Contents;
        LearnedContent[] hot = [.. learned.Order.Take(learned.HotCount).Select((index, rank) => new LearnedContent(contents[index].Digest, rank, TimeSpan.FromMicroseconds(learned.Moments[rank]), learned.Traces, IsRare: false))];
        IReadOnlyList<ContentRef> own = filesystems.ReadContents(ownFilesystem.Memory).Contents;
        Digest[] predicted = [.. heir.Order.Take(heir.HotCount).Select(index => own[index].Digest)];
        IReadOnlyList<LearnedContent> inherited = source.IsVersion
            ? OrderInheritance.FromVersion(hot, filesystems.ReadTree(oldFilesystem.Memory), filesystems.ReadTree(ownFilesystem.Memory), predicted)
            : OrderInheritance.FromRelative(hot, own.Select(c => c.Digest).ToHashSet(), predicted);
        LearnedOrder order = new(inherited, learned.Traces, learned.Groups);
        await SaveAsync(heir, OrderOf(heir, own, inherited, order, source.Image, revision: 0), cancellationToken);
    }

    private async Task SaveAsync(IndexedImage image, IndexedOrder order, CancellationToken cancellationToken)
    {
        await traces.SaveOrderAsync(image.Digest, order, cancellationToken);
        if (image.Learned?.Name() != order.Name())
        {
            changed.Note(image.Digest);
        }
    }

    private IReadOnlyList<ContentRef> ContentsOf(IndexedImage image)
    {
        using IMemoryOwner<byte> filesystem = format.ReadFilesystem(image);
        return filesystems.ReadContents(filesystem.Memory).Contents;
    }

    private static IndexedOrder OrderOf(IndexedImage image, IReadOnlyList<ContentRef> contents, IReadOnlyList<LearnedContent> hot, LearnedOrder learned, Digest? inheritedFrom, long revision)
    {
        ContentOrder order = new ContentOrder(image.Order, image.HotCount).Beginning(ContentOrder.PositionsOf(contents, [.. hot.Select(h => h.Content)]));
        Dictionary<Digest, TimeSpan> moments = hot.ToDictionary(h => h.Content, h => h.At);
        return new IndexedOrder(
            order.Indexes,
            order.HotCount,
            [.. order.Indexes.Take(order.HotCount).Select(index => moments[contents[index].Digest].Ticks / TimeSpan.TicksPerMicrosecond)],
            learned.Groups,
            learned.Traces,
            inheritedFrom,
            revision);
    }
}
