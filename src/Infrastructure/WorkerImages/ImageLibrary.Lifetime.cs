using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Snapshots;
using Starlight.Infrastructure.Unpacking;

namespace Starlight.Infrastructure.WorkerImages;

/// <content>Start-up, taking up interrupted receptions, and freeing.</content>
public sealed partial class ImageLibrary
{
    private static readonly TimeSpan FirstResumePause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestResumePause = TimeSpan.FromSeconds(60);
    private static readonly Error NotResumed = new("Pull.Interrupted", "the content had not arrived when the daemon stopped", ErrorKind.Unavailable);

    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _resuming = [];
    private int _disposed;

    /// <summary>Goes on receiving what was incomplete when the daemon last stopped, and after a crash removes contents that no image needs. Returns at once.</summary>
    /// <param name="fetch">Has a tree's missing contents sent, through <see cref="BeginAsync"/>. Called again, after a pause, for as long as it fails and the image is wanted.</param>
    public void ResumeInterrupted(Func<Digest, ChainSource, CancellationToken, Task<Result>> fetch)
    {
        lock (_lock)
        {
            foreach (WorkerTree tree in _trees.Values.Where(t => !t.Complete))
            {
                tree.Resuming = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _resuming.Add(Task.Run(() => ResumeAsync(tree, fetch, _stopping.Token)));
            }
        }

        if (!_sweepMark.IsSwept)
        {
            _resuming.Add(Task.Run(SweepAsync));
        }
    }

    /// <summary>May be called again: the library is registered under each of its ports, and the container disposes it once for each.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _stopping.CancelAsync();
        await Task.WhenAll(_resuming);
        foreach (ImageReception reception in Others([]).Select(t => t.Reception).OfType<ImageReception>().Distinct())
        {
            await reception.StopAsync(goesOn: true);
        }

        _sweepMark.Save();
        _records.Dispose();
        _registering.Dispose();
        _stopping.Dispose();
    }

    /// <summary>Reads the records; what is not in them goes from the disk, what is not on the disk goes from them.</summary>
    private void Load()
    {
        // What a killed daemon left: made anew when needed, in the mode of this one. Running containers have their own reference to each layer.
        if (MountTable.DetachBelow(_imagesDirectory) is > 0 and int detached)
        {
            LibraryLog.LeftoversDetached(_logger, detached);
        }

        foreach (TreeRecord record in _records.Trees())
        {
            WorkerTree tree = new(record, DirectoryOf(record.ChainId));
            tree.Touched = _time.GetTimestamp();
            try
            {
                if (!tree.Complete)
                {
                    tree.Promised = [.. ContentsOf(tree).Select(c => c.Digest).Where(d => !_objects.Contains(d))];
                    _board.Expect(tree.Promised);
                }
                else if (!File.Exists(tree.FilesystemImagePath))
                {
                    throw new FileNotFoundException("it is not there");
                }

                _trees.Add(tree.ChainId, tree);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FailureException)
            {
                LibraryLog.TreeLost(_logger, record.ChainId.ToString(), e.Message);
                _records.Remove(record.ChainId);
                _sweepMark.IsSwept = false;
            }
        }

        foreach (ChainRecord chain in _records.Chains())
        {
            _chains.Add(chain.ChainId, chain);
        }

        HashSet<string> known = [.. _trees.Values.Select(t => t.Directory)];
        foreach (string directory in Directory.EnumerateDirectories(_imagesDirectory).Where(d => !known.Contains(d)))
        {
            DeleteDirectory(directory);
        }

        foreach (WorkerTree tree in _trees.Values)
        {
            DeleteDirectory(TreeUnpacker.UnfinishedPath(tree.UnpackedDirectory));
        }

        LibraryLog.Loaded(_logger, _trees.Count, _trees.Values.Count(t => !t.Complete));
    }

    private async Task ResumeAsync(WorkerTree tree, Func<Digest, ChainSource, CancellationToken, Task<Result>> fetch, CancellationToken cancellationToken)
    {
        TimeSpan pause = FirstResumePause;
        try
        {
            while (!cancellationToken.IsCancellationRequested && InterruptedSourceOf(tree) is { } source)
            {
                Result begun = await TryFetchAsync(tree.ChainId, source, fetch, cancellationToken);
                if (begun.IsSuccess)
                {
                    return;
                }

                LibraryLog.ResumeFailed(_logger, source.Image.ToString(), begun.Error.Message, (long)pause.TotalMilliseconds);
                await Task.Delay(pause, _time, cancellationToken);
                pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestResumePause.Ticks));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // the daemon stops: the next one goes on
        }
        finally
        {
            lock (_lock)
            {
                EndResuming(tree);
            }

            if (!cancellationToken.IsCancellationRequested)
            {
                Withdraw(tree);
            }
        }
    }

    private static async Task<Result> TryFetchAsync(Digest chainId, ChainSource source, Func<Digest, ChainSource, CancellationToken, Task<Result>> fetch, CancellationToken cancellationToken)
    {
        try
        {
            return await fetch(chainId, source, cancellationToken);
        }
        catch (FailureException e)
        {
            return e.Error;
        }
    }

    /// <summary>Null once the image is gone or a pull of it has come first: an image may be removed or pulled while its proxy cannot be reached.</summary>
    private ChainSource? InterruptedSourceOf(WorkerTree tree)
    {
        lock (_lock)
        {
            return tree.Resuming is not null && _trees.GetValueOrDefault(tree.ChainId) == tree && _chains.TryGetValue(tree.ChainId, out ChainRecord? chain) ? SourceOf(chain) : null;
        }
    }

    /// <summary>Under the lock.</summary>
    private static void EndResuming(WorkerTree tree)
    {
        tree.Resuming?.SetResult();
        tree.Resuming = null;
    }

    /// <summary>Takes back what was promised at start for an interrupted tree: a reception has promised it now, or nothing will bring it.</summary>
    private void Withdraw(WorkerTree tree)
    {
        IReadOnlyList<Digest> promised;
        lock (_lock)
        {
            (promised, tree.Promised) = (tree.Promised, []);
        }

        foreach (Digest content in promised)
        {
            _board.Fail(content, NotResumed);
        }
    }

    /// <summary>
    /// Forgets trees and chains, but for those that a pull has pinned or brought anew meanwhile, and frees what only they needed: record first, then files, so that a crash leaves files for the
    /// next start to remove, never a record without files.
    /// </summary>
    private async Task RemoveTreesAsync(IReadOnlyList<WorkerTree> trees, IReadOnlyList<Digest> chains)
    {
        // no pull may decide meanwhile that it can build on what is about to go
        await _registering.WaitAsync();
        try
        {
            List<WorkerTree> going = [];
            List<Digest> forgotten = [];
            lock (_lock)
            {
                forgotten.AddRange(chains.Where(c => !_pins.ContainsKey(c) && _chains.Remove(c)));
                going.AddRange(trees.Where(t => !_pins.ContainsKey(t.ChainId) && _trees.GetValueOrDefault(t.ChainId) == t));
                going.ForEach(t => _trees.Remove(t.ChainId));
            }

            _records.RemoveChains(forgotten);
            if (going.Count == 0)
            {
                return;
            }

            // Until it is done: whatever ends it early leaves contents without an image.
            bool wasSwept = _sweepMark.IsSwept;
            _sweepMark.IsSwept = false;
            HashSet<Digest>? kept = TryContentsOf(Others([]));
            foreach (WorkerTree tree in going)
            {
                _records.Remove(tree.ChainId);
                Withdraw(tree);
                await _roots.ReleaseAsync(tree);
                (int objects, long bytes) = (0, 0L);
                IReadOnlyList<ContentRef>? contents = TryContentsOf(tree);
                foreach (ContentRef content in contents ?? [])
                {
                    if (kept is null || kept.Contains(content.Digest))
                    {
                        continue;
                    }

                    if (_objects.Delete(content.Digest))
                    {
                        objects++;
                        bytes += content.Size;
                    }
                }

                DeleteDirectory(tree.Directory);
                LibraryLog.TreeRemoved(_logger, tree.ChainId.ToString(), objects, bytes);
                if (contents is null && kept is not null)
                {
                    Sweep(kept);
                }
            }

            _sweepMark.IsSwept |= wasSwept && kept is not null;
        }
        finally
        {
            _registering.Release();
        }
    }

    /// <summary>Removes contents that a crash left without an image.</summary>
    private async Task SweepAsync()
    {
        _sweepMark.IsSwept = false;
        await _registering.WaitAsync();
        try
        {
            if (TryContentsOf(Others([])) is { } needed)
            {
                Sweep(needed);
            }
        }
        finally
        {
            _registering.Release();
        }
    }

    private void Sweep(HashSet<Digest> needed)
    {
        try
        {
            int removed = 0;
            foreach (Digest content in _objects.Enumerate())
            {
                if (_stopping.IsCancellationRequested)
                {
                    return;
                }

                if (!needed.Contains(content) && _objects.Delete(content))
                {
                    removed++;
                }
            }

            _sweepMark.IsSwept = true;
            if (removed > 0)
            {
                LibraryLog.Swept(_logger, removed);
            }
        }
        catch (FailureException e)
        {
            _sweepMark.IsSwept = false;
            LibraryLog.RemovalFailed(_logger, "contents that no image needs", e.Error.Message);
        }
    }

    private void DeleteDirectory(string directory)
    {
        try
        {
            DirectoryTree.Delete(directory);
        }
        catch (FailureException e)
        {
            LibraryLog.RemovalFailed(_logger, directory, e.Error.Message);
        }
    }
}
