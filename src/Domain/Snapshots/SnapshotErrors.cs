using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Snapshots;

/// <summary>Everything that can be wrong with a request to the snapshotter. The kinds are those containerd's own snapshotters answer with (errdefs, storage/bolt.go).</summary>
public static class SnapshotErrors
{
    public static Error NotFound(string name) =>
        new("Snapshot.NotFound", $"snapshot {name} does not exist", ErrorKind.NotFound);

    public static Error ParentNotFound(string parent) =>
        new("Snapshot.ParentNotFound", $"parent snapshot {parent} does not exist", ErrorKind.NotFound);

    public static Error ParentNotCommitted(string parent) =>
        new("Snapshot.ParentNotCommitted", $"parent {parent} is not a committed snapshot: commit it first", ErrorKind.InvalidInput);

    public static Error AlreadyExists(string name) =>
        new("Snapshot.AlreadyExists", $"snapshot {name} already exists", ErrorKind.AlreadyExists);

    /// <summary>The answer that tells containerd to skip a layer: its snapshot is there without an unpack.</summary>
    public static Error Provided(string chainId) =>
        new("Snapshot.Provided", $"target snapshot {chainId} already exists", ErrorKind.AlreadyExists);

    public static Error NotActive(string key) =>
        new("Snapshot.NotActive", $"snapshot {key} is not active: only a prepared snapshot can be committed", ErrorKind.FailedPrecondition);

    public static Error NotMountable(string key) =>
        new("Snapshot.NotMountable", $"snapshot {key} is not active or view: prepare a snapshot on top of it and mount that", ErrorKind.FailedPrecondition);

    public static Error HasChildren(string name) =>
        new("Snapshot.HasChildren", $"cannot remove snapshot {name} with child: remove its children first", ErrorKind.FailedPrecondition);

    public static Error Changed(string key) =>
        new("Snapshot.Changed", $"snapshot {key} was replaced while it was being worked on: try again", ErrorKind.FailedPrecondition);

    public static Error ImmutableField(string field, string name) =>
        new("Snapshot.ImmutableField", $"cannot update field \"{field}\" of snapshot {name}: only labels can change", ErrorKind.InvalidInput);

    public static Error LabelTooLarge(string key) =>
        new("Snapshot.LabelTooLarge", $"label {key}… is larger than {SnapshotLabels.MaxPairSize} bytes (key and value together)", ErrorKind.InvalidInput);

    public static Error MappedIds(string key) => new(
        "Snapshot.MappedIds",
        $"snapshot {key} asks for mapped user ids, which a Starlight image cannot be mounted with: let containerd change the owners itself (no remap-ids among the plugin's capabilities, no --remap-labels)",
        ErrorKind.Unsupported);

    public static Error KeyEmpty(string what) =>
        new("Snapshot.KeyEmpty", $"the snapshot {what} is empty: name one", ErrorKind.InvalidInput);

    public static Error KeyTooLong(string what) =>
        new("Snapshot.KeyTooLong", $"the snapshot {what} is longer than {SnapshotKey.MaxLength} bytes", ErrorKind.InvalidInput);
}
