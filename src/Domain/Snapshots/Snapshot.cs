using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Snapshots;

/// <summary>
/// One snapshot and the rules of its life (containerd core/snapshots, Snapshotter): Prepare and View make active and view snapshots on a committed parent or on
/// nothing, Commit turns an active one into a committed one under another name, Remove ends any that has no children.
/// A <em>provided</em> snapshot is a committed layer that was never unpacked here: its content comes from the filesystem image of the Starlight image it belongs to.
/// </summary>
/// <param name="Id">Number that names the snapshot's directory. Kept across Commit, never used again.</param>
/// <param name="Key">Key of an active or view, name of a committed snapshot.</param>
/// <param name="Kind">What may be done with it.</param>
/// <param name="Parent">Name of the committed snapshot below, or null.</param>
/// <param name="Labels">As given by containerd, normalised.</param>
/// <param name="Created">When it was prepared, or committed if it is. UTC.</param>
/// <param name="Updated">When its labels last changed. UTC.</param>
/// <param name="Usage">Of an ordinary committed snapshot: what it occupied when it was committed. Zero otherwise.</param>
/// <param name="ProvidedChainId">Chain ID of a provided snapshot, null for an ordinary one.</param>
public sealed record Snapshot(
    long Id,
    SnapshotKey Key,
    SnapshotKind Kind,
    SnapshotKey? Parent,
    IReadOnlyDictionary<string, string> Labels,
    DateTimeOffset Created,
    DateTimeOffset Updated,
    SnapshotUsage Usage,
    string? ProvidedChainId)
{
    private const string LabelsField = "labels";
    private const string LabelFieldPrefix = "labels.";

    public bool IsProvided => ProvidedChainId is not null;

    /// <summary>Active and view snapshots have mounts; a committed one is only ever a parent.</summary>
    public Result CheckMountable() => Kind == SnapshotKind.Committed ? SnapshotErrors.NotMountable(Key.Value) : Result.Success;

    /// <summary>Only a committed snapshot can be a parent.</summary>
    public Result CheckParent() => Kind == SnapshotKind.Committed ? Result.Success : SnapshotErrors.ParentNotCommitted(Key.Value);

    public Result CheckRemovable(bool hasChildren) => hasChildren ? SnapshotErrors.HasChildren(Key.Value) : Result.Success;

    /// <summary>
    /// The committed snapshot this active one becomes. It keeps number and parent; the labels are the commit's, none is inherited from the active one
    /// (storage.CommitActive).
    /// </summary>
    public Result<Snapshot> Commit(SnapshotKey name, IReadOnlyDictionary<string, string> labels, SnapshotUsage usage, DateTimeOffset now)
    {
        if (Kind != SnapshotKind.Active)
        {
            return SnapshotErrors.NotActive(Key.Value);
        }

        return SnapshotLabels.Normalize(labels).Map(kept => this with
        {
            Key = name,
            Kind = SnapshotKind.Committed,
            Labels = kept,
            Created = now,
            Updated = now,
            Usage = usage,
        });
    }

    /// <summary>
    /// Changes labels. No field paths: all labels are replaced; <c>labels</c>: the same; <c>labels.KEY</c>: that one is set, or removed if <paramref name="labels"/> lacks it.
    /// Any other path is refused: everything else is immutable. A provided snapshot keeps its reference label whatever is asked, since containerd finds it by that.
    /// </summary>
    public Result<Snapshot> Update(IReadOnlyDictionary<string, string> labels, IReadOnlyCollection<string> fieldPaths, DateTimeOffset now)
    {
        Dictionary<string, string> changed = fieldPaths.Count == 0 ? new(labels) : new(Labels);
        foreach (string path in fieldPaths)
        {
            if (path.StartsWith(LabelFieldPrefix, StringComparison.Ordinal))
            {
                string key = path[LabelFieldPrefix.Length..];
                changed[key] = labels.GetValueOrDefault(key, "");
            }
            else if (path == LabelsField)
            {
                changed = new(labels);
            }
            else
            {
                return SnapshotErrors.ImmutableField(path, Key.Value);
            }
        }

        if (ProvidedChainId is not null)
        {
            changed[SnapshotLabels.Reference] = ProvidedChainId;
        }

        return SnapshotLabels.Normalize(changed).Map(kept => this with { Labels = kept, Updated = now });
    }
}
