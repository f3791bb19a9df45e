namespace Starlight.Application.Snapshots;

/// <summary>One mount(2) call that containerd or a shim is to make (containerd.types.Mount).</summary>
/// <param name="Type">File system type; <c>bind</c> for a bind mount.</param>
/// <param name="Source">Directory of a bind mount, <c>overlay</c> otherwise.</param>
/// <param name="Options">As in fstab: <c>ro</c>, <c>rbind</c>, <c>lowerdir=…</c>.</param>
public sealed record SnapshotMount(string Type, string Source, IReadOnlyList<string> Options);
