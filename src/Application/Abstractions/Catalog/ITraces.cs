using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>What became of a trace that was to be stored.</summary>
public enum TraceReceipt
{
    Stored,

    /// <summary>The same trace was stored before.</summary>
    Known,

    /// <summary>The image is not known, or not any more.</summary>
    ImageUnknown,
}

/// <summary>All traces of an image that count.</summary>
/// <param name="Revision">How many it ever got; grows with each.</param>
public sealed record ImageTraces(IReadOnlyList<ReportedTrace> Traces, long Revision);

/// <summary>
/// Traces of images and the orders that they teach. They go with their image. Safe for concurrent use, also by several proxies on one database.
/// Fails with Unavailable <c>Catalog.Unavailable</c> when the database cannot be reached.
/// </summary>
public interface ITraces
{
    /// <summary>Stores a trace if its image is known and the trace is not. Of one worker and of one account the oldest go, as <see cref="TraceMerge"/> would not count them.</summary>
    Task<TraceReceipt> RecordAsync(ReportedTrace trace, CancellationToken cancellationToken);

    /// <summary>No traces and revision 0 for an image that is not known.</summary>
    Task<ImageTraces> FindAsync(Digest image, CancellationToken cancellationToken);

    /// <summary>
    /// Lets an image's contents be sent in this order from now on. Nothing happens if one of a later revision is stored, or the image is not known.
    /// </summary>
    Task SaveOrderAsync(Digest image, IndexedOrder order, CancellationToken cancellationToken);

    /// <summary>Images for the same platform that were notified in one of the same repositories, or that share a layer, the most recently indexed first.</summary>
    Task<IReadOnlyList<RelatedImage>> FindRelativesAsync(Digest image, CancellationToken cancellationToken);
}

/// <summary>An image that has something in common with another.</summary>
/// <param name="Image">Its manifest.</param>
/// <param name="IsVersion">It is of the same repository.</param>
/// <param name="HasTraces">It has traces of its own.</param>
/// <param name="HasOrder">It has a learned order, its own or an inherited one.</param>
public sealed record RelatedImage(Digest Image, bool IsVersion, bool HasTraces, bool HasOrder);
