using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;

namespace Starlight.Application.Snapshots;

/// <summary>
/// Turns what lies below a snapshot into a mount. Ordinary layers only: exactly what the overlayfs snapshotter answers (containerd snapshots/overlay/overlay.go, mounts).
/// With a provided image at the bottom (ADR 0008):
/// <code>
/// lowerdir=L3:L2:METADATA::GATE::OBJECTS::TAIL     leftmost = topmost; "::" = data-only layers, always last
/// lowerdir=L3:L2:METADATA::OBJECTS                 all contents are here
/// lowerdir=L3:L2:METADATA                          the metadata directory is complete by itself
/// </code>
/// containerd shortens a list of layers that is longer than a page by changing directory, but not one with data-only layers (mount_linux.go, compactLowerdirOption): see <see cref="Fits"/>.
/// </summary>
internal static class MountPlan
{
    /// <summary>Most bytes of mount options: one page with its final NUL, what mount(2) copies.</summary>
    private const int MaxOptionBytes = 4095;

    /// <summary>False if the mount would have data-only layers and more options than fit into a page: the provided image is then needed in one directory.</summary>
    public static bool Fits(Snapshot snapshot, IReadOnlyList<long> ordinary, RootFilesystemLayers provided, ISnapshotDirectories directories) =>
        provided.ObjectsDirectory is null
        || !(Build(snapshot, ordinary, provided, directories) is { IsSuccess: true } built)
        || built.Value[0].Options.Sum(option => System.Text.Encoding.UTF8.GetByteCount(option) + 1) - 1 <= MaxOptionBytes;

    public static Result<IReadOnlyList<SnapshotMount>> Build(
        Snapshot snapshot, IReadOnlyList<long> ordinary, RootFilesystemLayers? provided, ISnapshotDirectories directories)
    {
        bool writable = snapshot.Kind == SnapshotKind.Active;
        List<string> lower = [.. ordinary.Select(directories.Contents)];
        List<string> dataOnly = [];
        if (provided is not null)
        {
            lower.Add(provided.MetadataDirectory);
            dataOnly.AddRange(new[] { provided.GateDirectory, provided.ObjectsDirectory, provided.TailDirectory }.OfType<string>());
            if (lower.Concat(dataOnly).FirstOrDefault(path => path.AsSpan().ContainsAny(':', ',', '\\')) is { } unusable)
            {
                return new Error(
                    "Snapshot.PathNotMountable", $"{unusable} cannot be an overlay layer because its path contains ':', ',' or '\\': move Starlight's directories", ErrorKind.Unsupported);
            }
        }

        if (lower.Count == 0)
        {
            return Bind(directories.Contents(snapshot.Id), writable);
        }

        if (!writable && lower.Count == 1 && dataOnly.Count == 0)
        {
            // Overlay refuses a single lower directory without an upper one.
            return Bind(lower[0], writable: false);
        }

        List<string> options = [];
        if (directories.Overlay.IndexOff)
        {
            options.Add("index=off");
        }

        if (directories.Overlay.UserXattr)
        {
            if (dataOnly.Count > 0)
            {
                return new Error(
                    "Snapshot.UserNamespace", "overlay has no data-only layers in a user namespace: run the daemon outside of one", ErrorKind.Unsupported);
            }

            options.Add("userxattr");
        }

        if (provided is not null && !writable)
        {
            options.Add("ro");
        }
        else if (provided is not null && directories.Overlay.MetacopyOff)
        {
            // Where a distribution turns metacopy on by default, chmod would leave a stub instead of the file in the upper directory, which commit and diff read.
            options.Add("metacopy=off");
        }

        if (writable && provided is { IsWatched: true })
        {
            options.Add(RootFilesystemLayers.WatchedOption);
        }

        if (writable)
        {
            options.Add($"workdir={directories.Work(snapshot.Id)}");
            options.Add($"upperdir={directories.Contents(snapshot.Id)}");
        }

        options.Add($"lowerdir={string.Join(':', lower)}{string.Concat(dataOnly.Select(path => $"::{path}"))}");
        return new[] { new SnapshotMount("overlay", "overlay", options) };
    }

    private static SnapshotMount[] Bind(string directory, bool writable) => [new("bind", directory, [writable ? "rw" : "ro", "rbind"])];
}
