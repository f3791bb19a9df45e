using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Domain.Snapshots.Filters;

namespace Starlight.Application.Snapshots;

/// <summary>
/// containerd's snapshotter contract (core/snapshots/snapshotter.go) over a store of records, directories of ordinary layers, and the images Starlight provides.
/// Data plane: called straight from the gRPC endpoint, without a mediator (ADR 0008). Safe for concurrent use.
/// </summary>
public sealed partial class SnapshotService(
    ISnapshotStore store, ISnapshotDirectories directories, IProvidedImages images, IContainerTraces traces, TimeProvider time, ILogger<SnapshotService> logger)
{
    private readonly ChainLocks _chains = new();

    public Result<Snapshot> Stat(SnapshotKey key) =>
        store.Read(reader => reader.Find(key)) is { } snapshot ? snapshot : SnapshotErrors.NotFound(key.Value);

    /// <summary>All snapshots that match any of the filters, as of one moment; all of them without filters. Fails with InvalidInput on a malformed filter.</summary>
    public Result<IReadOnlyList<Snapshot>> List(IEnumerable<string> filters) =>
        SnapshotFilter.Parse(filters).Map<IReadOnlyList<Snapshot>>(filter => [.. store.Read(reader => reader.All()).Where(filter.Matches)]);

    /// <summary>Changes labels; see <see cref="Snapshot.Update"/> for the field paths.</summary>
    public Task<Result<Snapshot>> UpdateAsync(
        SnapshotKey key, IReadOnlyDictionary<string, string> labels, IReadOnlyCollection<string> fieldPaths, CancellationToken cancellationToken) =>
        store.WriteAsync<Snapshot>(
            WriteDurability.PowerLoss,
            writer =>
            {
                if (writer.Find(key) is not { } snapshot)
                {
                    return SnapshotErrors.NotFound(key.Value);
                }

                Result<Snapshot> updated = snapshot.Update(labels, fieldPaths, time.GetUtcNow());
                if (updated.IsSuccess)
                {
                    writer.Replace(updated.Value);
                }

                return updated;
            },
            committed: null,
            cancellationToken);

    /// <summary>
    /// Turns the active snapshot <paramref name="key"/> into the committed snapshot <paramref name="name"/>. Its upper directory becomes an ordinary layer, also on top of
    /// a provided parent. The caller has unmounted it. Fails with NotFound, AlreadyExists, FailedPrecondition (not active).
    /// </summary>
    public async Task<Result> CommitAsync(SnapshotKey name, SnapshotKey key, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        // Measured before taking the writer's place: walking a large layer takes time, and nobody writes to it any more.
        Result<Snapshot> active = Stat(key);
        if (!active.IsSuccess)
        {
            return active.Error;
        }

        SnapshotUsage usage = active.Value.Kind == SnapshotKind.Active ? directories.Measure(active.Value.Id, cancellationToken) : default;
        Result<Snapshot> result = await store.WriteAsync(
            WriteDurability.PowerLoss,
            writer =>
            {
                if (writer.Find(key) is not { } current)
                {
                    return SnapshotErrors.NotFound(key.Value);
                }

                if (writer.Find(name) is not null)
                {
                    return SnapshotErrors.AlreadyExists(name.Value);
                }

                if (current.Id != active.Value.Id)
                {
                    return SnapshotErrors.Changed(key.Value);
                }

                Result<Snapshot> done = current.Commit(name, labels, usage, time.GetUtcNow());
                if (done.IsSuccess)
                {
                    writer.Replace(done.Value);
                }

                return done;
            },
            committed: _ => images.Detach(key.Value),
            cancellationToken);
        return result.IsSuccess ? Result.Success : result.Error;
    }

    /// <summary>
    /// Removes a snapshot without children; its key is free again at once. An active or view snapshot lets go of its gate directory; with the last provided snapshot of
    /// a layer the image may go. Fails with NotFound, FailedPrecondition (has children).
    /// </summary>
    public async Task<Result> RemoveAsync(SnapshotKey key, CancellationToken cancellationToken)
    {
        Result<Snapshot> seen = Stat(key);
        if (!seen.IsSuccess)
        {
            return seen.Error;
        }

        using IDisposable? chain = seen.Value.ProvidedChainId is { } locked ? await _chains.EnterAsync(locked, cancellationToken) : null;
        WriteDurability durability = seen.Value.Kind == SnapshotKind.Committed ? WriteDurability.PowerLoss : WriteDurability.ProcessCrash;
        Result<Removed> removed = await store.WriteAsync(durability, writer => Remove(writer, key, seen.Value.Id), Detach, cancellationToken);
        if (!removed.IsSuccess)
        {
            return removed.Error;
        }

        // The snapshot is gone whatever happens from here on: what cannot be freed now is no failure of the removal.
        DeleteDirectories(removed.Value.Snapshot);
        if (removed.Value.ReleasedChainId is { } chainId)
        {
            await ReleaseAsync(chainId);
        }

        return Result.Success;
    }

    /// <summary>
    /// What the snapshot itself occupies: of an active one as it is now, of an ordinary committed one as it was at commit, of a provided one what its image occupies. A view
    /// occupies nothing.
    /// </summary>
    public async Task<Result<SnapshotUsage>> UsageAsync(SnapshotKey key, CancellationToken cancellationToken)
    {
        Result<Snapshot> found = Stat(key);
        if (!found.IsSuccess)
        {
            return found.Error;
        }

        Snapshot snapshot = found.Value;
        if (snapshot.ProvidedChainId is { } chainId)
        {
            (long size, long inodes) = await images.UsageAsync(chainId, cancellationToken);
            return new SnapshotUsage(size, inodes);
        }

        return snapshot.Kind == SnapshotKind.Active ? directories.Measure(snapshot.Id, cancellationToken) : snapshot.Usage;
    }

    /// <summary>Deletes directories that belong to no snapshot: what crashes and failed deletions left. Called at start and by containerd after each garbage collection.</summary>
    public async Task CleanupAsync(CancellationToken cancellationToken)
    {
        Result<List<string>> leftovers = await store.WriteAsync<List<string>>(
            WriteDurability.ProcessCrash,
            writer => directories.SetAsideLeftovers(writer.All().Select(snapshot => snapshot.Id).ToHashSet()).ToList(),
            committed: null,
            cancellationToken);
        foreach (string leftover in leftovers.Value)
        {
            try
            {
                directories.DeleteSetAside(leftover);
            }
            catch (FailureException failure)
            {
                logger.CleanupFailed(leftover, failure);
            }
        }

        if (leftovers.Value.Count > 0)
        {
            logger.CleanedUp(leftovers.Value.Count);
        }
    }

    private static Result<Removed> Remove(ISnapshotWriter writer, SnapshotKey key, long id)
    {
        if (writer.Find(key) is not { } snapshot)
        {
            return SnapshotErrors.NotFound(key.Value);
        }

        if (snapshot.Id != id)
        {
            return SnapshotErrors.Changed(key.Value);
        }

        if (snapshot.CheckRemovable(writer.HasChildren(snapshot)) is { IsSuccess: false } refused)
        {
            return refused.Error;
        }

        writer.Delete(snapshot);
        return new Removed(snapshot, snapshot.ProvidedChainId is { } chainId && !writer.HasProvided(chainId) ? chainId : null);
    }

    private void Detach(Removed removed)
    {
        if (removed.Snapshot.Kind != SnapshotKind.Committed)
        {
            images.Detach(removed.Snapshot.Key.Value);
        }
    }

    private void DeleteDirectories(Snapshot snapshot)
    {
        if (snapshot.IsProvided)
        {
            return;
        }

        try
        {
            directories.Delete(snapshot.Id);
        }
        catch (FailureException failure)
        {
            logger.DeleteFailed(snapshot.Key.Value, failure);
        }
    }

    /// <param name="Snapshot">As it was.</param>
    /// <param name="ReleasedChainId">The chain whose last provided snapshot this was, or null.</param>
    private sealed record Removed(Snapshot Snapshot, string? ReleasedChainId);
}
