using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;

namespace Starlight.Application.Abstractions.Snapshots;

/// <summary>What a write must outlive. Whatever it is, writes are kept whole and in order: a later one is never there without the earlier ones.</summary>
public enum WriteDurability
{
    /// <summary>
    /// The death of the process. Loss of power may undo the last seconds. For what ends with the machine anyway: a container's own snapshot.
    /// </summary>
    ProcessCrash,

    /// <summary>Loss of power too. For layers: containerd's own database, which is on disk when it answers, goes on to rely on them.</summary>
    PowerLoss,
}

/// <summary>
/// Keeps the records of all snapshots. Many readers, one writer at a time; a reader sees one consistent state and never waits for a writer. Safe for concurrent use.
/// </summary>
public interface ISnapshotStore
{
    /// <summary>Runs <paramref name="query"/> on one consistent state. What it is given must not be used afterwards.</summary>
    T Read<T>(Func<ISnapshotReader, T> query);

    /// <summary>
    /// Runs <paramref name="change"/> as the only writer. All it wrote is kept if it succeeds and nothing if it fails or throws.
    /// </summary>
    /// <param name="durability">What the write outlives once this returns.</param>
    /// <param name="change">Must not block on anything but local disks; keep what can fail outside the database to its last step.</param>
    /// <param name="committed">Runs after the commit and before the next writer: for what must not be overtaken by a successor with the same key.</param>
    /// <param name="cancellationToken">Stops the wait for other writers; a change that has begun is finished.</param>
    Task<Result<T>> WriteAsync<T>(WriteDurability durability, Func<ISnapshotWriter, Result<T>> change, Action<T>? committed, CancellationToken cancellationToken);
}

public interface ISnapshotReader
{
    Snapshot? Find(SnapshotKey key);

    /// <summary>The provided snapshot of this layer on exactly this parent.</summary>
    Snapshot? FindProvided(string chainId, SnapshotKey? parent);

    /// <summary>Whether any provided snapshot of this layer is left, whatever its parent.</summary>
    bool HasProvided(string chainId);

    /// <summary>All layers of which a provided snapshot is left.</summary>
    IReadOnlySet<string> ProvidedChains();

    bool HasChildren(Snapshot snapshot);

    /// <summary>All snapshots below, the direct parent first.</summary>
    IReadOnlyList<Snapshot> Ancestors(Snapshot snapshot);

    /// <summary>All snapshots in order of their numbers, so that parents come before children.</summary>
    IReadOnlyList<Snapshot> All();
}

public interface ISnapshotWriter : ISnapshotReader
{
    /// <summary>Stores a new snapshot and gives it a number that no snapshot had before. Its key must be free and its parent there.</summary>
    Snapshot Insert(SnapshotDraft draft);

    /// <summary>Overwrites the snapshot with the same number: key, kind, labels, times, usage. The parent never changes.</summary>
    void Replace(Snapshot snapshot);

    /// <summary>Removes a snapshot that has no children.</summary>
    void Delete(Snapshot snapshot);
}
