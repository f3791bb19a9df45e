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

/// <summary>The proxy's unique contents, seen from the control plane. Safe for concurrent use.</summary>
public interface IContentStore
{
    /// <summary>True if the content is there. Costs a set lookup, no I/O after the first call.</summary>
    bool Contains(Digest content);

    IContentIntake OpenIntake();

    /// <summary>Up to <paramref name="maxLength"/> bytes of a content; fewer only at its end. Null if it is not there.</summary>
    ReadOnlyMemory<byte>? Peek(Digest content, long offset, int maxLength);

    /// <summary>Makes everything taken in so far survive a power failure: call it before the catalog says that the contents are here.</summary>
    Task FlushAsync(CancellationToken cancellationToken);
}
