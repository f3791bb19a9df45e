using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;

namespace Starlight.Application.Abstractions.Snapshots;

/// <summary>What overlay mounts need on this machine.</summary>
/// <param name="IndexOff">The kernel knows <c>index</c>, which has to be off: the same lower directories are in use by many mounts.</param>
/// <param name="UserXattr">We run in a user namespace, where overlay may keep its marks in <c>user.overlay.*</c> only.</param>
/// <param name="MetacopyOff">The kernel knows <c>metacopy</c> (Linux 4.19), which a distribution may have turned on.</param>
public sealed record OverlayFeatures(bool IndexOff, bool UserXattr, bool MetacopyOff = true);

/// <summary>
/// The directories of ordinary snapshots, laid out like the overlayfs snapshotter's: <c>ROOT/snapshots/NUMBER/fs</c> holds a layer's files, <c>work</c> next to it is
/// overlay's own and exists for active snapshots. Failures are <see cref="FailureException"/>s. Safe for concurrent use on different numbers.
/// </summary>
public interface ISnapshotDirectories
{
    OverlayFeatures Overlay { get; }

    /// <summary>Path of the layer's files. Contains neither ':' nor ','.</summary>
    string Contents(long id);

    string Work(long id);

    /// <summary>
    /// Makes the directories appear at once, complete. Called by the store's only writer. Replaces what a crash may have left under the number.
    /// </summary>
    /// <param name="id">The snapshot's number.</param>
    /// <param name="writable">Also makes the work directory.</param>
    /// <param name="ownerOf">The root of the new layer gets the owner of this directory (the parent's root); null for the daemon's own.</param>
    void Create(long id, bool writable, string? ownerOf);

    /// <summary>Gives the layer's root the owner of <paramref name="directory"/>.</summary>
    void CopyOwner(long id, string directory);

    /// <summary>Counts what the layer occupies by walking it; files that vanish meanwhile are skipped.</summary>
    SnapshotUsage Measure(long id, CancellationToken cancellationToken);

    /// <summary>Deletes the snapshot's directories and all in them. A number that has none is fine.</summary>
    void Delete(long id);

    /// <summary>
    /// Moves everything that belongs to no snapshot out of the way. Called by the store's only writer, so that nothing unfinished is mistaken for a leftover.
    /// Returns what <see cref="DeleteSetAside"/> takes.
    /// </summary>
    IReadOnlyList<string> SetAsideLeftovers(IReadOnlySet<long> known);

    void DeleteSetAside(string leftover);
}
