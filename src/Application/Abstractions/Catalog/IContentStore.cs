using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>
/// Takes in the contents of one layer. Nothing half-written ever becomes visible; disposing it in the middle of a content discards that content only.
/// </summary>
public interface IContentIntake : IContentSink, IAsyncDisposable
{
    /// <summary>Contents stored that were not there before, and their bytes.</summary>
    (long Count, long Bytes) Added { get; }
}

/// <summary>How full a content store is.</summary>
/// <param name="Contents">Number of contents.</param>
/// <param name="Bytes">Room they take on disk.</param>
/// <param name="Limit">What <paramref name="Bytes"/> is kept below; <see cref="long.MaxValue"/> for no limit.</param>
/// <param name="Evicted">Contents given up for others since the store was opened.</param>
public sealed record StoreUsage(long Contents, long Bytes, long Limit, long Evicted);

/// <summary>Finds out which contents nothing refers to. Contents that arrive meanwhile stay.</summary>
public interface IContentSweep
{
    /// <summary>This content is referred to. It need not be in the store.</summary>
    void Keep(Digest content);

    /// <summary>Removes what was not kept and has not been used since <paramref name="unusedSince"/>.</summary>
    /// <returns>Contents removed, and the room they took.</returns>
    (long Count, long Bytes) Remove(DateTimeOffset unusedSince);
}

/// <summary>
/// The proxy's unique contents, seen from the control plane: a cache with a size limit, so anything may be missing at any time. Safe for concurrent use.
/// </summary>
public interface IContentStore
{
    StoreUsage Usage { get; }

    /// <summary>True if the content is there. Costs a set lookup, no I/O after the first call.</summary>
    bool Contains(Digest content);

    /// <param name="only">Contents to keep; others are read and dropped. Null for all.</param>
    IContentIntake OpenIntake(IReadOnlyCollection<ContentRef>? only = null);

    /// <summary>Up to <paramref name="maxLength"/> bytes of a content; fewer only at its end. Null if it is not there.</summary>
    ReadOnlyMemory<byte>? Peek(Digest content, long offset, int maxLength);

    /// <summary>Says that these contents are in use now: they are evicted after all that were used before. Those that are not there are passed over.</summary>
    void Touch(IEnumerable<ContentRef> contents);

    /// <summary>Until the result is disposed, nothing that is touched or arrives after this call is evicted, whatever the limit.</summary>
    IDisposable Protect();

    /// <summary>Begins to look for contents that nothing refers to; one at a time.</summary>
    IContentSweep BeginSweep();

    /// <summary>Makes everything taken in so far survive a power failure.</summary>
    Task FlushAsync(CancellationToken cancellationToken);
}
