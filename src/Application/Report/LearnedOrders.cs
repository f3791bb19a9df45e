using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;

namespace Starlight.Application.Report;

/// <summary>
/// Makes the orders that traces teach and stores them with the images, so that planning a bundle reads one column. Made anew whenever a trace comes in: what is sent after that begins with what
/// containers open. Two proxies that do this for one image at once end with the order of the later trace, as <see cref="ITraces.SaveOrderAsync"/> compares revisions.
/// </summary>
internal sealed class LearnedOrders(IImageCatalog catalog, ITraces traces, IFilesystemImages filesystems)
{
    /// <summary>The image has got a trace.</summary>
    public async Task LearnAsync(Digest image, CancellationToken cancellationToken)
    {
        ImageTraces found = await traces.FindAsync(image, cancellationToken);
        if (found.Traces.Count == 0 || await catalog.FindImageAsync(image, cancellationToken) is not { } indexed)
        {
            return;
        }

        LearnedOrder learned = TraceMerge.Merge(found.Traces);
        await traces.SaveOrderAsync(image, OrderOf(indexed, learned.Contents, learned, inheritedFrom: null, found.Revision), cancellationToken);
    }

    private IndexedOrder OrderOf(IndexedImage image, IReadOnlyList<LearnedContent> hot, LearnedOrder learned, Digest? inheritedFrom, long revision)
    {
        IReadOnlyList<ContentRef> contents = filesystems.ReadContents(image.Filesystem).Contents;
        Dictionary<Digest, int> positions = new(contents.Count);
        for (int i = 0; i < contents.Count; i++)
        {
            positions.Add(contents[i].Digest, i);
        }

        ContentOrder order = new ContentOrder([.. image.Order.Select(index => contents[index].Digest)], image.HotCount).Beginning(hot.Select(h => h.Content));
        Dictionary<Digest, TimeSpan> moments = hot.ToDictionary(h => h.Content, h => h.At);
        return new IndexedOrder(
            [.. order.Digests.Select(d => positions[d])],
            order.HotCount,
            [.. order.Digests.Take(order.HotCount).Select(d => moments[d].Ticks / TimeSpan.TicksPerMicrosecond)],
            learned.Groups,
            learned.Traces,
            inheritedFrom,
            revision);
    }
}
