using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.Tracing;
using Starlight.Infrastructure.Unpacking;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// Root file systems from ordinary directory trees, each built once, when it is first needed and all its contents are here: <c>tree</c> below the tree's directory. It stays until the image goes, also under a daemon in
/// another mode, because containers may be using it.
/// </summary>
/// <param name="objects">The contents.</param>
/// <param name="filesystems">Reads filesystem images.</param>
/// <param name="time">Clock of the log.</param>
/// <param name="logger">The library's.</param>
internal sealed class UnpackedRoots(ObjectStore objects, IFilesystemImages filesystems, TimeProvider time, ILogger<ImageLibrary> logger) : ITreeRoots
{
    private readonly TreeUnpacker _unpacker = new(objects);

    /// <summary>Guards the dictionary, whose entries are the trees being built now.</summary>
    private readonly Lock _lock = new();
    private readonly Dictionary<Digest, Building> _building = [];

    public bool SupportsEarlyStart => false;

    public Task PrepareAsync(WorkerTree tree, CancellationToken cancellationToken)
    {
        Building? building;
        lock (_lock)
        {
            if (!_building.TryGetValue(tree.ChainId, out building))
            {
                if (Directory.Exists(tree.UnpackedDirectory))
                {
                    return Task.CompletedTask;
                }

                building = new Building();
                _building.Add(tree.ChainId, building);
                building.Work = Task.Run(() => Build(tree, building.Stop.Token), CancellationToken.None);
            }
        }

        return building.Work!.WaitAsync(cancellationToken);
    }

    public RootFilesystemLayers Attach(WorkerTree tree, string snapshotKey, bool inOneDirectory = false, TraceRecorder? recorder = null) => new(tree.UnpackedDirectory, null, null);

    public void Detach(string snapshotKey)
    {
        // a snapshot has nothing of its own here
    }

    public async Task ReleaseAsync(WorkerTree tree)
    {
        Building? building;
        lock (_lock)
        {
            building = _building.GetValueOrDefault(tree.ChainId);
        }

        if (building is not null)
        {
            await StopAsync(building);
        }
    }

    public void Dispose()
    {
        List<Building> left;
        lock (_lock)
        {
            left = [.. _building.Values];
        }

        Task.WhenAll(left.Select(StopAsync)).GetAwaiter().GetResult();
    }

    private static async Task StopAsync(Building building)
    {
        await building.Stop.CancelAsync();
        await building.Work!.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void Build(WorkerTree tree, CancellationToken cancellationToken)
    {
        try
        {
            long started = time.GetTimestamp();
            FileTree files = filesystems.ReadTree(File.ReadAllBytes(tree.FilesystemImagePath));
            _unpacker.Unpack(files, tree.UnpackedDirectory, cancellationToken);
            LibraryLog.TreeBuilt(logger, tree.ChainId.ToString(), (long)time.GetElapsedTime(started).TotalMilliseconds);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(
                new Error("Tree.NotBuilt", $"the directory tree of {tree.ChainId} was not built, because {tree.FilesystemImagePath} cannot be read ({e.Message}): pull the image again", ErrorKind.Internal), e);
        }
        finally
        {
            lock (_lock)
            {
                _building.Remove(tree.ChainId);
            }
        }
    }

    private sealed class Building
    {
        public CancellationTokenSource Stop { get; } = new();

        /// <summary>Set under the lock before anyone else sees this.</summary>
        public Task? Work { get; set; }
    }
}
