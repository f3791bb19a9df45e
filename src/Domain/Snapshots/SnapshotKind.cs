namespace Starlight.Domain.Snapshots;

/// <summary>
/// What a snapshot is. The numbers are those of <c>containerd.services.snapshots.v1.Kind</c> (snapshots.proto) and are stored; 0 is that
/// enum's UNKNOWN and never a snapshot of ours.
/// </summary>
public enum SnapshotKind
{
    /// <summary>A read-only look at a committed snapshot, named by a key. Can be mounted, never committed.</summary>
    View = 1,

    /// <summary>A writable snapshot, named by a key: a container's root file system or a layer that is being unpacked.</summary>
    Active = 2,

    /// <summary>A finished layer, named by a name. Never mounted itself; the only kind that can be a parent.</summary>
    Committed = 3,
}
