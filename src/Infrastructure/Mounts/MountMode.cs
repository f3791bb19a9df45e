namespace Starlight.Infrastructure.Mounts;

/// <summary>How containers' root file systems are put together on this kernel.</summary>
public enum MountMode
{
    /// <summary>One overlay: EROFS image, data-only layers, upper (Linux 6.16 and newer).</summary>
    SingleOverlay,

    /// <summary>
    /// An inner read-only overlay with <c>metacopy=on</c>, and the container's ordinary overlay on it (Linux 6.5 and newer). One per container while contents are missing, because each
    /// has its own gate directory; afterwards one for all.
    /// </summary>
    NestedOverlay,

    /// <summary>No data-only layers or no EROFS: the tree is unpacked into a directory before the container starts.</summary>
    DirectoryTree,
}

/// <summary>One mount as containerd hands it to the runtime (its API type Mount).</summary>
/// <param name="Type">File system type, or <c>bind</c>.</param>
/// <param name="Source">Device or directory; <c>overlay</c> for overlays.</param>
/// <param name="Options">Options one by one; none contains a comma.</param>
public sealed record MountRecord(string Type, string Source, IReadOnlyList<string> Options)
{
    /// <summary>The options as mount(2) and mount(8) take them.</summary>
    public string OptionText => string.Join(',', Options);
}
