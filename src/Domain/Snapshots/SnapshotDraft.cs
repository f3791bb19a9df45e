using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Snapshots;

/// <summary>A snapshot that is about to be stored and has no number yet.</summary>
public sealed record SnapshotDraft(
    SnapshotKey Key,
    SnapshotKind Kind,
    SnapshotKey? Parent,
    IReadOnlyDictionary<string, string> Labels,
    DateTimeOffset Created,
    string? ProvidedChainId)
{
    /// <summary>An active or view snapshot.</summary>
    /// <param name="key">What it will be addressed by.</param>
    /// <param name="kind">Active or View.</param>
    /// <param name="parent">The parent as asked for, or null for an empty root.</param>
    /// <param name="parentSnapshot">What the store has under that name, or null.</param>
    /// <param name="labels">The request's labels.</param>
    /// <param name="now">Time of creation.</param>
    public static Result<SnapshotDraft> Prepare(
        SnapshotKey key, SnapshotKind kind, SnapshotKey? parent, Snapshot? parentSnapshot, IReadOnlyDictionary<string, string> labels, DateTimeOffset now)
    {
        if (kind == SnapshotKind.Committed)
        {
            throw new ArgumentOutOfRangeException(nameof(kind), kind, "a committed snapshot is made by Commit or as a provided one");
        }

        if (CheckParent(parent, parentSnapshot) is { IsSuccess: false } refused)
        {
            return refused.Error;
        }

        return SnapshotLabels.Normalize(labels).Map(kept => new SnapshotDraft(key, kind, parent, kept, now, ProvidedChainId: null));
    }

    /// <summary>A committed snapshot for a layer that need not be unpacked. Its labels hold the reference, by which containerd looks it up right after (metadata/snapshot.go).</summary>
    public static Result<SnapshotDraft> Provided(
        SnapshotKey name, string chainId, SnapshotKey? parent, Snapshot? parentSnapshot, IReadOnlyDictionary<string, string> labels, DateTimeOffset now)
    {
        if (CheckParent(parent, parentSnapshot) is { IsSuccess: false } refused)
        {
            return refused.Error;
        }

        var withReference = new Dictionary<string, string>(labels) { [SnapshotLabels.Reference] = chainId };
        return SnapshotLabels.Normalize(withReference).Map(kept => new SnapshotDraft(name, SnapshotKind.Committed, parent, kept, now, chainId));
    }

    /// <summary>A parent that is asked for must exist and be committed.</summary>
    public static Result CheckParent(SnapshotKey? parent, Snapshot? parentSnapshot) =>
        parent is null ? Result.Success
        : parentSnapshot is null ? SnapshotErrors.ParentNotFound(parent.Value.Value)
        : parentSnapshot.CheckParent();

    public Snapshot WithId(long id) => new(id, Key, Kind, Parent, Labels, Created, Created, default, ProvidedChainId);
}
