using System.Globalization;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.Tracing;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// Root file systems from mounted filesystem images and the object store. Below a tree's directory:
/// <code>
/// mnt             the filesystem image, mounted when first needed
/// inner/complete  nested, complete trees: one read-only overlay for all containers
/// inner/&lt;n&gt;       nested, while contents arrive: one per snapshot, with the snapshot's gate directory
/// inner/&lt;n&gt;       complete trees of which is recorded what is opened: one per snapshot, which is watched (ADR 0033)
/// </code>
/// A single overlay needs no mount of ours but the first; the container's own overlay names the layers. Nested is what the mode says, and what a snapshot on many ordinary layers, or one that is recorded, needs.
/// </summary>
/// <param name="capabilities">Mode and what carries the images.</param>
/// <param name="objects">The contents.</param>
/// <param name="gate">Null where containers cannot start early.</param>
/// <param name="logger">The library's.</param>
internal sealed class OverlayRoots(MountCapabilities capabilities, ObjectStore objects, ArrivalGate? gate, ILogger<ImageLibrary> logger) : ITreeRoots
{
    private const string SharedInner = "complete";

    /// <summary>Overlays that are watched at a time; others are recorded through the gate. The kernel gives root 128 groups for everything on the machine (<c>fs.fanotify.max_user_groups</c>).</summary>
    internal const int MaxWatched = 32;

    /// <summary>Guards all below. Held while mounting, which takes well under a millisecond.</summary>
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Attachment> _attachments = new(StringComparer.Ordinal);
    private readonly HashSet<string> _mounted = new(StringComparer.Ordinal);
    private readonly List<WatchedOverlay> _watched = [];
    private long _names;

    public bool SupportsEarlyStart => gate is not null;

    public Task PrepareAsync(WorkerTree tree, CancellationToken cancellationToken) => Task.CompletedTask;

    public RootFilesystemLayers Attach(WorkerTree tree, string snapshotKey, bool inOneDirectory = false, TraceRecorder? recorder = null)
    {
        bool nested = inOneDirectory || capabilities.Mode == MountMode.NestedOverlay;
        lock (_lock)
        {
            if (!_mounted.Contains(tree.MountPoint))
            {
                Directory.CreateDirectory(tree.MountPoint);
                ErofsMounts.Mount(tree.FilesystemImagePath, tree.MountPoint, capabilities.Erofs!.Value);
                _mounted.Add(tree.MountPoint);
            }

            if (_attachments.TryGetValue(snapshotKey, out Attachment? earlier) && earlier.Tree != tree)
            {
                Detach(snapshotKey); // its tree was released and came again
            }

            OverlayLayers layers = new(tree.MountPoint, objects.Root);
            if (tree.Complete && recorder is not null && Watch(tree, snapshotKey, layers, recorder) is { } watched)
            {
                return new RootFilesystemLayers(watched, null, null) { IsWatched = true };
            }

            if (tree.Complete && (recorder is null || gate is null))
            {
                return nested
                    ? new RootFilesystemLayers(MountInner(Path.Combine(tree.InnerDirectory, SharedInner), layers), null, null)
                    : new RootFilesystemLayers(tree.MountPoint, null, objects.Root);
            }

            if (gate is null)
            {
                throw new InvalidOperationException("without a gate a tree is complete before it is attached");
            }

            if (!_attachments.TryGetValue(snapshotKey, out Attachment? attachment))
            {
                string name = NextName();
                attachment = new Attachment(tree, gate.CreateDirectory(name, recorder is null ? null : recorder.Record), Path.Combine(tree.InnerDirectory, name));
                attachment.Gate!.Fill();
                _attachments.Add(snapshotKey, attachment);
            }

            string directory = attachment.Gate!.Path;
            return nested
                ? new RootFilesystemLayers(MountInner(attachment.Inner, layers with { Gate = directory, Tail = gate.TailPath }), null, null)
                : new RootFilesystemLayers(tree.MountPoint, directory, objects.Root, gate.TailPath);
        }
    }

    public void Detach(string snapshotKey)
    {
        lock (_lock)
        {
            if (_attachments.Remove(snapshotKey, out Attachment? attachment))
            {
                // the mount first: who comes through it then finds the gate's directory still there
                Unmount(attachment.Inner);
                attachment.Gate?.Dispose();
            }
        }
    }

    public Task ReleaseAsync(WorkerTree tree)
    {
        lock (_lock)
        {
            foreach (string key in _attachments.Where(a => a.Value.Tree == tree).Select(a => a.Key).ToList())
            {
                Detach(key);
            }

            Unmount(Path.Combine(tree.InnerDirectory, SharedInner));
            Unmount(tree.MountPoint);
        }

        return Task.CompletedTask;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            // Those of the nested overlays first. Gate directories go with the gate, which outlives this.
            foreach (string directory in _mounted.OrderByDescending(d => d.Length).ToList())
            {
                Unmount(directory);
            }
        }
    }

    /// <summary>Mounts an overlay for this snapshot alone, of which the recorder is told what is opened. Nobody who opens something waits for that, as he does for an answer of the gate.</summary>
    /// <returns>Where it is; null if it cannot be watched, or the snapshot has a gate directory already.</returns>
    private string? Watch(WorkerTree tree, string snapshotKey, OverlayLayers layers, TraceRecorder recorder)
    {
        if (_attachments.TryGetValue(snapshotKey, out Attachment? attachment))
        {
            return attachment.Gate is null ? attachment.Inner : null;
        }

        _watched.RemoveAll(w => w.HasEnded);
        if (!capabilities.SeesOpens || _watched.Count >= MaxWatched)
        {
            return null;
        }

        string directory = Path.Combine(tree.InnerDirectory, NextName());
        ErofsContents? contents = null;
        try
        {
            contents = new ErofsContents(tree.FilesystemImagePath);
            MountInner(directory, layers.Watched);
            WatchedOverlay watched = new(directory, contents, recorder);
            _watched.Add(watched);
            recorder.Own(watched);
            _attachments.Add(snapshotKey, new Attachment(tree, null, directory));
            return directory;
        }
        catch (Exception e) when (e is FailureException or IOException or UnauthorizedAccessException)
        {
            LibraryLog.NotWatched(logger, snapshotKey, e.Message);
            contents?.Dispose();
            Unmount(directory);
            return null;
        }
    }

    private string NextName() => (++_names).ToString(CultureInfo.InvariantCulture);

    private string MountInner(string directory, OverlayLayers layers) => MountInner(directory, layers.Inner(MountMode.NestedOverlay)!);

    private string MountInner(string directory, MountRecord record)
    {
        if (!_mounted.Contains(directory))
        {
            Directory.CreateDirectory(directory);
            try
            {
                OverlayMounts.Mount(record, directory);
            }
            catch (FailureException)
            {
                Directory.Delete(directory);
                throw;
            }

            _mounted.Add(directory);
        }

        return directory;
    }

    private void Unmount(string directory)
    {
        if (!_mounted.Contains(directory))
        {
            return;
        }

        try
        {
            ErofsMounts.Unmount(directory);
            _mounted.Remove(directory);
            Directory.Delete(directory);
        }
        catch (Exception e) when (e is FailureException or IOException)
        {
            LibraryLog.RemovalFailed(logger, directory, e.Message);
        }
    }

    /// <param name="Tree">What it is attached to.</param>
    /// <param name="Gate">The snapshot's directory in the gate; null if its overlay is watched.</param>
    /// <param name="Inner">Where its own inner overlay is, if it is watched or nested.</param>
    private sealed record Attachment(WorkerTree Tree, GateDirectory? Gate, string Inner);
}
