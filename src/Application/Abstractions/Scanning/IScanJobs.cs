using Starlight.Domain.References;
using Starlight.Domain.Scanning;

namespace Starlight.Application.Abstractions.Scanning;

/// <summary>
/// The jobs of all proxies that share a catalog; one for each pair of source and destination. Failures are <see cref="Starlight.Domain.SharedKernel.FailureException"/>s
/// (Unavailable <c>Catalog.Unavailable</c>). Safe for concurrent use.
/// </summary>
public interface IScanJobs
{
    Task<ScanJob?> FindAsync(ImageReference source, ImageReference? destination, CancellationToken cancellationToken);

    /// <summary>False, and nothing is changed, if there is one for the same source and destination.</summary>
    Task<bool> TryAddAsync(ScanJob job, CancellationToken cancellationToken);

    /// <summary>Stores <paramref name="job"/> if what is stored has still the version <paramref name="version"/>; else false, and nothing is changed.</summary>
    Task<bool> TryReplaceAsync(ScanJob job, long version, CancellationToken cancellationToken);

    /// <summary>Jobs that <see cref="ScanJob.IsRunnable"/>, those that wait longest first.</summary>
    Task<IReadOnlyList<ScanJob>> FindRunnableAsync(DateTimeOffset now, int limit, CancellationToken cancellationToken);

    /// <summary>Running jobs whose owner's name begins so.</summary>
    Task<IReadOnlyList<ScanJob>> FindOwnedAsync(string ownerPrefix, CancellationToken cancellationToken);

    /// <summary>The latest pushed first.</summary>
    /// <param name="state">Null for any.</param>
    /// <param name="source">Null for any.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    Task<IReadOnlyList<ScanJob>> ListAsync(ScanState? state, ImageReference? source, int limit, CancellationToken cancellationToken);

    /// <summary>Forgets jobs that ended (done, failed or skipped) before then; how many.</summary>
    Task<int> ForgetAsync(DateTimeOffset endedBefore, CancellationToken cancellationToken);
}
