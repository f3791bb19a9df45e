using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Infrastructure.Snapshots;
using Starlight.Infrastructure.Tracing;

namespace Starlight.Infrastructure.WorkerImages;

/// <content>What the snapshotter sees: which layers are provided, and what a container on them is mounted from.</content>
public sealed partial class ImageLibrary : IProvidedImages
{
    public Task<bool> ProvidesAsync(RemoteLayerRequest request, CancellationToken cancellationToken)
    {
        if (!Digest.TryParse(request.ChainId, out Digest chainId))
        {
            return Task.FromResult(false);
        }

        bool provided = false;
        lock (_lock)
        {
            foreach (WorkerTree tree in _trees.Values.Where(t => LayerChain.Has(t.Record.ChainIds, chainId, request.ParentChainId)))
            {
                provided = true;
                tree.Touched = _time.GetTimestamp();
            }
        }

        return Task.FromResult(provided);
    }

    public IReadOnlyList<string> ListQuiet(TimeSpan quiet)
    {
        lock (_lock)
        {
            HashSet<Digest> touched = [.. _trees.Values.Where(t => _time.GetElapsedTime(t.Touched) < quiet).SelectMany(t => t.Record.ChainIds)];
            return [.. _trees.Keys.Union(_chains.Keys).Where(c => !touched.Contains(c)).Select(c => c.ToString())];
        }
    }

    public async Task<Result<RootFilesystemLayers>> AttachAsync(string chainId, string snapshotKey, bool inOneDirectory, CancellationToken cancellationToken)
    {
        WorkerTree? tree = Digest.TryParse(chainId, out Digest digest) ? Find(digest) : null;
        if (tree is null)
        {
            return new Error("Image.NotProvided", $"no image on this worker ends with the layer {chainId}: pull the image again", ErrorKind.NotFound);
        }

        // the file's digest is checked once per daemon run, before anything can be seen through it
        _ = ContentsOf(tree);
        if (!SupportsEarlyStart && await WaitUntilReadyAsync(tree, cancellationToken) is { IsSuccess: false } refused)
        {
            return refused.Error;
        }

        return _roots.Attach(tree, snapshotKey, inOneDirectory, _traces.Attached(snapshotKey, TracedImageOf(tree), ArrivalsOf(tree)));
    }

    public void Detach(string snapshotKey)
    {
        // The trace first: who attaches it again meanwhile must not be recorded in it.
        _traces.Detached(snapshotKey);
        _roots.Detach(snapshotKey);
    }

    public async Task ReleaseAsync(string chainId, CancellationToken cancellationToken)
    {
        if (!Digest.TryParse(chainId, out Digest digest))
        {
            return;
        }

        WorkerTree? tree;
        ImageReception? reception;
        lock (_lock)
        {
            if (_pins.ContainsKey(digest))
            {
                return; // a pull is about to make a snapshot of it
            }

            tree = _trees.GetValueOrDefault(digest);
            reception = tree?.Reception is { } running && running.Trees.All(t => t == tree || t.Complete) ? running : null;
            reception?.Abandon(); // from here on a pull of the image begins anew
        }

        if (reception is not null)
        {
            await reception.StopAsync();
        }

        await RemoveTreesAsync(tree is null ? [] : [tree], [digest]);
    }

    public Task<(long Size, long Inodes)> UsageAsync(string chainId, CancellationToken cancellationToken)
    {
        if (!Digest.TryParse(chainId, out Digest digest) || Find(digest) is not { } tree)
        {
            return Task.FromResult((0L, 0L));
        }

        HashSet<Digest> older = [];
        foreach (WorkerTree other in Others([tree]).Where(t => t.Record.CreatedUnixMs < tree.Record.CreatedUnixMs))
        {
            older.UnionWith((TryContentsOf(other) ?? []).Select(c => c.Digest));
        }

        FileInfo image = new(tree.FilesystemImagePath);
        long size = image.Exists ? image.Length : 0;
        long inodes = 1;
        if (Directory.Exists(tree.UnpackedDirectory))
        {
            SnapshotUsage unpacked = UnpackedUsageOf(tree, cancellationToken);
            size += unpacked.Size;
            inodes += unpacked.Inodes;
        }

        foreach (ContentRef content in TryContentsOf(tree) ?? [])
        {
            if (!older.Contains(content.Digest) && _objects.Contains(content.Digest))
            {
                size += content.Size;
                inodes++;
            }
        }

        return Task.FromResult((size, inodes));
    }

    private static ChainSource SourceOf(ChainRecord chain) => new(
        chain.ProxyProfile, ImageReference.Parse(chain.Reference).Value.WithDigest(chain.ManifestDigest), Platform.Parse(chain.Platform).Value, chain.Layers);

    /// <summary>Which image a container on this tree runs: of those with the same layers the one pulled last. Null for part of an image.</summary>
    private TracedImage? TracedImageOf(WorkerTree tree)
    {
        lock (_lock)
        {
            return _chains.TryGetValue(tree.ChainId, out ChainRecord? chain) && chain.Layers is null ? new TracedImage(chain.Reference, chain.ManifestDigest, chain.ProxyProfile) : null;
        }
    }

    private Arrivals? ArrivalsOf(WorkerTree tree)
    {
        lock (_lock)
        {
            return tree.Complete || tree.Reception is not { } reception ? null : new Arrivals(reception.Contents, () => reception.Completion.IsCompleted);
        }
    }

    private SnapshotUsage UnpackedUsageOf(WorkerTree tree, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (tree.UnpackedUsage is { } known)
            {
                return known;
            }
        }

        SnapshotUsage measured = DirectoryTree.Measure(tree.UnpackedDirectory, cancellationToken);
        lock (_lock)
        {
            tree.UnpackedUsage = measured;
        }

        return measured;
    }

    private WorkerTree? Find(Digest chainId)
    {
        lock (_lock)
        {
            return _trees.GetValueOrDefault(chainId);
        }
    }

    /// <summary>Waits until the tree can be attached where that takes all its contents. Fails with Unavailable if nothing brings them.</summary>
    private async Task<Result> WaitUntilReadyAsync(WorkerTree tree, CancellationToken cancellationToken)
    {
        while (!tree.Complete)
        {
            Task? arriving;
            lock (_lock)
            {
                arriving = tree.Reception?.Completion ?? tree.Resuming?.Task;
            }

            if (arriving is null && !tree.Complete)
            {
                return NotArriving("nothing brings them");
            }

            if (arriving is not null)
            {
                await arriving.WaitAsync(cancellationToken);
            }

            if (arriving is Task<Result> { Result: { IsSuccess: false } ended } && !tree.Complete)
            {
                return NotArriving(ended.Error.Message);
            }
        }

        await _roots.PrepareAsync(tree, cancellationToken);
        return Result.Success;

        Error NotArriving(string reason) => new(
            "Image.Incomplete",
            $"contents of the image with the layer {tree.ChainId} are missing, and containers start on this worker only when all are here ({reason}): pull the image again",
            ErrorKind.Unavailable);
    }

    /// <summary>Contents of a tree in canonical order. Reads and checks the filesystem image at the first call.</summary>
    private IReadOnlyList<ContentRef> ContentsOf(WorkerTree tree)
    {
        if (tree.Contents is { } known)
        {
            return known;
        }

        byte[] image;
        try
        {
            image = File.ReadAllBytes(tree.FilesystemImagePath);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(new Error(
                "Image.FilesystemDamaged", $"{tree.FilesystemImagePath} cannot be read ({e.Message}): remove the image and pull it again", ErrorKind.DataCorrupt), e);
        }

        if (Digest.Of(image) != tree.Record.FilesystemDigest)
        {
            throw new FailureException(new Error(
                "Image.FilesystemDamaged", $"{tree.FilesystemImagePath} is damaged: remove the image and pull it again", ErrorKind.DataCorrupt));
        }

        IReadOnlyList<ContentRef> contents = _filesystems.ReadContents(image).Contents;
        lock (_lock)
        {
            return tree.Contents ??= contents;
        }
    }

    /// <summary>Null if the filesystem image is damaged: other images must be freed and measured all the same.</summary>
    private IReadOnlyList<ContentRef>? TryContentsOf(WorkerTree tree)
    {
        try
        {
            return ContentsOf(tree);
        }
        catch (FailureException e)
        {
            LibraryLog.TreeUnreadable(_logger, tree.ChainId.ToString(), e.Error.Message);
            return null;
        }
    }

    /// <summary>What these trees need, or null if that cannot be told because one of them is damaged: containers may be running on it still.</summary>
    private HashSet<Digest>? TryContentsOf(IReadOnlyList<WorkerTree> trees)
    {
        HashSet<Digest> needed = [];
        foreach (WorkerTree tree in trees)
        {
            if (TryContentsOf(tree) is not { } contents)
            {
                return null;
            }

            needed.UnionWith(contents.Select(c => c.Digest));
        }

        return needed;
    }

    private List<WorkerTree> Others(IReadOnlyList<WorkerTree> trees)
    {
        lock (_lock)
        {
            return [.. _trees.Values.Except(trees)];
        }
    }
}
