using Starlight.Application.Abstractions.Snapshots;
using Starlight.Infrastructure.Tracing;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// How the trees of this worker become root file systems of containers, in the mount mode of this daemon. What an earlier daemon left mounted has been detached before. Disposing takes all mounts away;
/// containers keep their own references. Safe for concurrent use.
/// </summary>
internal interface ITreeRoots : IDisposable
{
    /// <summary>Whether a tree can be attached while its contents are still arriving. If not, it has to be complete and prepared first.</summary>
    bool SupportsEarlyStart { get; }

    /// <summary>
    /// Does what takes time before a complete tree can be attached. Repeating it costs nothing; several callers wait for the same work. Cancellation ends the wait, not the work.
    /// </summary>
    /// <exception cref="Domain.SharedKernel.FailureException">It cannot be done now; calling again tries again.</exception>
    Task PrepareAsync(WorkerTree tree, CancellationToken cancellationToken);

    /// <summary>The layers for one snapshot. Repeating it for the same key gives the same ones until the tree is complete, or the recording has ended.</summary>
    /// <param name="tree">Complete, unless containers can start early.</param>
    /// <param name="snapshotKey">Who is to be mounted.</param>
    /// <param name="inOneDirectory">Whether the result must be one directory with the whole tree.</param>
    /// <param name="recorder">
    /// Told about each first open of a content, where that can be seen: the snapshot then gets a gate directory or an overlay of its own even if the tree is complete. Null if nobody wants to know; what a
    /// repeated call says counts only for that.
    /// </param>
    RootFilesystemLayers Attach(WorkerTree tree, string snapshotKey, bool inOneDirectory = false, TraceRecorder? recorder = null);

    /// <summary>The snapshot is gone. Unknown keys are ignored.</summary>
    void Detach(string snapshotKey);

    /// <summary>The tree is about to be deleted: nothing of it stays mounted or in the making. Failures are logged.</summary>
    Task ReleaseAsync(WorkerTree tree);
}
