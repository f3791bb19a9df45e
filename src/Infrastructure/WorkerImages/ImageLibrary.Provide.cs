using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Infrastructure.Snapshots;

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
            foreach (WorkerTree tree in _trees.Values.Where(t => Holds(t.Record.ChainIds, chainId, request.ParentChainId)))
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

        return _roots.Attach(tree, snapshotKey, inOneDirectory);
    }

    public void Detach(string snapshotKey) => _roots.Detach(snapshotKey);

    public async Task ReleaseAsync(string chainId, CancellationToken cancellationToken)
    {
        if (!Digest.TryParse(chainId, out Digest digest))
        {
            return;
        }

        if (Find(digest) is not { } tree)
        {
            ForgetChains([digest]);
            return;
        }

        ImageReception? reception;
        lock (_lock)
        {
            reception = tree.Reception;
        }

        if (reception is not null && reception.Trees.All(t => t == tree || t.Complete))
        {
            await reception.StopAsync();
        }

        ForgetChains([digest]);
        await RemoveTreesAsync([tree]);
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
            older.UnionWith(ContentsOf(other).Select(c => c.Digest));
        }

        long size = new FileInfo(tree.FilesystemImagePath).Length;
        long inodes = 1;
        if (Directory.Exists(tree.UnpackedDirectory))
        {
            SnapshotUsage unpacked = tree.UnpackedUsage ??= DirectoryTree.Measure(tree.UnpackedDirectory, cancellationToken);
            size += unpacked.Size;
            inodes += unpacked.Inodes;
        }

        foreach (ContentRef content in ContentsOf(tree))
        {
            if (!older.Contains(content.Digest) && _objects.Contains(content.Digest))
            {
                size += content.Size;
                inodes++;
            }
        }

        return Task.FromResult((size, inodes));
    }

    /// <summary>A chain ID stands for all layers below it, but who asks may have them wrong.</summary>
    private static bool Holds(IReadOnlyList<Digest> chain, Digest layer, string? parent)
    {
        for (int i = 0; i < chain.Count; i++)
        {
            if (chain[i] == layer)
            {
                return parent == (i == 0 ? null : chain[i - 1].ToString());
            }
        }

        return false;
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

        byte[] image = File.ReadAllBytes(tree.FilesystemImagePath);
        if (Digest.Of(image) != tree.Record.FilesystemDigest)
        {
            throw new FailureException(new Error(
                "Image.FilesystemDamaged", $"{tree.FilesystemImagePath} is damaged: remove the image and pull it again", ErrorKind.DataCorrupt));
        }

        return tree.Contents = _filesystems.ReadContents(image).Contents;
    }

    private List<WorkerTree> Others(IReadOnlyList<WorkerTree> trees)
    {
        lock (_lock)
        {
            return [.. _trees.Values.Except(trees)];
        }
    }
}
