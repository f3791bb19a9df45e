using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.ProxyClient;
using Starlight.Infrastructure.Tracing;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// The images on this worker: what is here, what is being received, and what a container is mounted from. One per daemon. Five parts:
/// receiving (this file), what can be built upon (<c>.Bases</c>), pulls that share a reception (<c>.Sharing</c>), providing layers to the snapshotter (<c>.Provide</c>), start-up and freeing (<c>.Lifetime</c>).
/// </summary>
public sealed partial class ImageLibrary : IWorkerImages, IAsyncDisposable
{
    private readonly string _imagesDirectory;
    private readonly SweepMark _sweepMark;
    private readonly ImageRecords _records;
    private readonly ObjectStore _objects;
    private readonly ArrivalBoard _board;
    private readonly ITreeRoots _roots;
    private readonly ContainerTraces _traces;
    private readonly IFilesystemImages _filesystems;
    private readonly TimeProvider _time;
    private readonly ILogger<ImageLibrary> _logger;

    /// <summary>Guards the dictionaries and the state of every tree; never held across input or output but for short metadata writes.</summary>
    private readonly Lock _lock = new();
    private readonly Dictionary<Digest, WorkerTree> _trees = [];

    /// <summary>Chains that can be provided, with a tree or without one.</summary>
    private readonly Dictionary<Digest, ChainRecord> _chains = [];

    /// <summary>One pull at a time registers its trees: a second pull of the same image then finds the first's and joins it.</summary>
    private readonly SemaphoreSlim _registering = new(1, 1);

    internal ImageLibrary(
        WorkerLayout layout,
        ObjectStore objects,
        ArrivalBoard board,
        ITreeRoots roots,
        ContainerTraces traces,
        IFilesystemImages filesystems,
        TimeProvider time,
        ILogger<ImageLibrary> logger)
    {
        _imagesDirectory = layout.ImagesDirectory;
        Directory.CreateDirectory(_imagesDirectory);
        _records = new ImageRecords(layout.ImagesDatabase);
        _sweepMark = new SweepMark(layout.SweptFile);
        _objects = objects;
        _board = board;
        _roots = roots;
        _traces = traces;
        _filesystems = filesystems;
        _time = time;
        _logger = logger;
        _board.Wanted += content => ThreadPool.UnsafeQueueUserWorkItem(static wanted => wanted.Library.Want(wanted.Content), (Library: this, Content: content), preferLocal: false);
        Load();
    }

    public bool SupportsEarlyStart => _roots.SupportsEarlyStart;

    public async Task<Result<IImageReception>> BeginAsync(
        ProxyProfile proxy,
        DeltaRequest request,
        IIncomingBundle bundle,
        IReadOnlyList<IncomingImage> images,
        CancellationToken cancellationToken)
    {
        IncomingBundle incoming = (IncomingBundle)bundle;
        bool handedOver = false;
        ReceptionShare? joined = null;
        try
        {
            await _registering.WaitAsync(cancellationToken);
            try
            {
                if (FindOtherTree(images) is { } other)
                {
                    return new Error(
                        "Image.Mismatch",
                        $"{other.Reference} was refused: its layers are on this worker, or come, with another filesystem image than {other.FilesystemDigest}; remove the images of these layers and pull again",
                        ErrorKind.DataCorrupt);
                }

                joined = RunningReceptionOf(images);
                if (joined is not null)
                {
                    Record([], RecordsOf(proxy, request, images));
                    return joined;
                }

                if (MissingContent(incoming) is { } missing)
                {
                    return new Error("Bundle.BaseIncomplete", $"the proxy left out {missing}, which is not on this worker", ErrorKind.FailedPrecondition);
                }

                Added added = await AddTreesAsync(proxy, request, incoming, images, cancellationToken);
                ImageReception reception = new(incoming, _objects, _board, TreesOf(images), FinishedAsync, _time, _logger) { Abandoned = r => TakeBackAsync(added, r) };
                ReceptionShare share;
                lock (_lock)
                {
                    share = Share(reception, images);
                    foreach (WorkerTree tree in reception.Trees.Where(t => !t.Complete && t.Reception is null or { IsAbandoned: true }))
                    {
                        (tree.Reception, tree.BroughtBy) = (reception, reception);
                        EndResuming(tree);
                    }
                }

                _board.Expect(incoming.Contents.Select(c => c.Digest));
                foreach (WorkerTree tree in reception.Trees)
                {
                    Withdraw(tree);
                }

                handedOver = true;
                LibraryLog.ReceptionStarted(_logger, string.Join(", ", request.Images), incoming.Contents.Count, incoming.Contents.Sum(c => c.Size));
                return share;
            }
            finally
            {
                _registering.Release();
            }
        }
        catch when (joined is not null)
        {
            await joined.AbandonAsync();
            throw;
        }
        finally
        {
            if (!handedOver)
            {
                await incoming.DisposeAsync();
            }
        }
    }

    public ChainSource? FindMissingTree(Digest chainId)
    {
        lock (_lock)
        {
            if (!_chains.TryGetValue(chainId, out ChainRecord? chain))
            {
                return null;
            }

            // Lower layers whose reception failed for good are fetched anew: no pull of an image would bring them.
            bool isHere = _trees.TryGetValue(chainId, out WorkerTree? tree) && (chain.Layers is null || tree.Complete || tree.Reception is not null || tree.Resuming is not null);
            return isHere ? null : SourceOf(chain);
        }
    }

    /// <summary>Somebody opens a file whose content is on its way.</summary>
    private void Want(Digest content)
    {
        ImageReception[] running;
        lock (_lock)
        {
            running = [.. _trees.Values.Select(t => t.Reception).OfType<ImageReception>().Distinct()];
        }

        _ = running.Any(r => r.Want(content));
    }

    private List<WorkerTree> TreesOf(IReadOnlyList<IncomingImage> images)
    {
        lock (_lock)
        {
            List<WorkerTree> trees = [.. images.Select(i => _trees[i.TopChainId]).Distinct()];
            foreach (WorkerTree tree in trees)
            {
                tree.Touched = _time.GetTimestamp();
            }

            return trees;
        }
    }

    /// <summary>A content that neither the bundle brings nor the store holds: the base is not what the proxy believes.</summary>
    private Digest? MissingContent(IncomingBundle bundle)
    {
        HashSet<Digest> coming = [.. bundle.Contents.Select(c => c.Digest)];
        foreach (IReadOnlyList<ContentRef> contents in bundle.ImageContents)
        {
            foreach (ContentRef content in contents)
            {
                if (!coming.Contains(content.Digest) && !_objects.Contains(content.Digest))
                {
                    return content.Digest;
                }
            }
        }

        return null;
    }

    /// <summary>Writes what is new to disk, then to the records, then to memory: a crash in between leaves files that the next start removes.</summary>
    private async Task<Added> AddTreesAsync(ProxyProfile proxy, DeltaRequest request, IncomingBundle bundle, IReadOnlyList<IncomingImage> images, CancellationToken cancellationToken)
    {
        List<WorkerTree> trees = [];
        try
        {
            for (int i = 0; i < images.Count; i++)
            {
                IncomingImage image = images[i];
                lock (_lock)
                {
                    if (_trees.ContainsKey(image.TopChainId) || trees.Exists(t => t.ChainId == image.TopChainId))
                    {
                        continue;
                    }
                }

                WorkerTree tree = new(new TreeRecord(image.ChainIds, image.FilesystemDigest, Complete: false, _time.GetUtcNow().ToUnixTimeMilliseconds()), DirectoryOf(image.TopChainId))
                {
                    Contents = bundle.ImageContents[i],
                    Touched = _time.GetTimestamp(),
                };
                trees.Add(tree);
                await FilesystemImageFile.WriteAsync(tree.FilesystemImagePath, bundle.Images[i].FilesystemImage, cancellationToken);
            }

            return new Added(trees, Record(trees, RecordsOf(proxy, request, images)));
        }
        catch
        {
            foreach (WorkerTree tree in trees)
            {
                DeleteDirectory(tree.Directory);
            }

            throw;
        }
    }

    /// <summary>The names of the images, and their chains. Part of an image is no image: the chain it is the tree of is known already.</summary>
    private (List<ImageRecord> Images, List<ChainRecord> Chains) RecordsOf(ProxyProfile proxy, DeltaRequest request, IReadOnlyList<IncomingImage> images)
    {
        List<ImageRecord> records = [];
        List<ChainRecord> chains = [];
        if (request.Layers is null)
        {
            long now = _time.GetUtcNow().ToUnixTimeMilliseconds();
            foreach (IncomingImage image in images)
            {
                ImageRecord record = new(image.Reference.ToString(), image.ManifestDigest, image.TopChainId, proxy.Name, request.Platform.ToString(), now);
                records.Add(record);
                chains.AddRange(ChainRecord.AllOf(record, image.ChainIds));
            }
        }

        return (records, chains);
    }

    /// <summary>On disk first, then in memory. Gives the chains that were not known before.</summary>
    private List<ChainRecord> Record(IReadOnlyList<WorkerTree> trees, (List<ImageRecord> Images, List<ChainRecord> Chains) records)
    {
        _records.Add([.. trees.Select(t => t.Record)], records.Images, records.Chains);
        List<ChainRecord> newChains = [];
        lock (_lock)
        {
            foreach (WorkerTree tree in trees)
            {
                _trees.Add(tree.ChainId, tree);
            }

            foreach (ChainRecord chain in records.Chains)
            {
                if (!_chains.ContainsKey(chain.ChainId))
                {
                    newChains.Add(chain);
                }

                _chains[chain.ChainId] = chain;
            }
        }

        return newChains;
    }

    /// <summary>A reception has ended. Where containers cannot start early it succeeds only when they can start.</summary>
    private async Task<Result> FinishedAsync(ImageReception reception, Result outcome)
    {
        if (outcome.IsSuccess && TryMarkComplete(reception) is { IsSuccess: false } notRecorded)
        {
            outcome = notRecorded;
        }

        if (outcome.IsSuccess)
        {
            LibraryLog.ReceptionDone(_logger, string.Join(", ", reception.Trees.Select(t => t.ChainId)), reception.Progress.ReceivedBytes);
        }

        bool broughtTooMuch = false;
        lock (_lock)
        {
            foreach (WorkerTree tree in reception.Trees)
            {
                tree.Complete |= outcome.IsSuccess;
                tree.Touched = _time.GetTimestamp();
                if (tree.Reception == reception)
                {
                    tree.Reception = null;
                }

                broughtTooMuch |= !_trees.ContainsKey(tree.ChainId);
            }
        }

        if (broughtTooMuch)
        {
            // One of several images was removed while all were arriving: what came for it alone after that belongs to nobody.
            await SweepAsync();
        }

        return outcome.IsSuccess && !SupportsEarlyStart ? await PrepareAsync(reception) : outcome;
    }

    /// <summary>If this fails, on a full disk, the contents are here all the same: the next start finds them.</summary>
    private Result TryMarkComplete(ImageReception reception)
    {
        try
        {
            _records.MarkComplete([.. reception.Trees.Select(t => t.ChainId)]);
            return Result.Success;
        }
        catch (FailureException e)
        {
            LibraryLog.ReceptionFailed(_logger, string.Join(", ", reception.Trees.Select(t => t.ChainId)), e.Error.Message);
            return e.Error;
        }
    }

    private async Task<Result> PrepareAsync(ImageReception reception)
    {
        reception.Building = true;
        try
        {
            foreach (WorkerTree tree in reception.Trees)
            {
                await PrepareAsync(tree, reception.Stopping);
            }

            return Result.Success;
        }
        catch (FailureException e)
        {
            LibraryLog.ReceptionFailed(_logger, string.Join(", ", reception.Trees.Select(t => t.ChainId)), e.Error.Message);
            return e.Error;
        }
        catch (OperationCanceledException)
        {
            return new Error("Pull.Stopped", "building the directory tree was stopped", ErrorKind.Cancelled);
        }
    }

    /// <summary>One of several images may have been removed meanwhile, or be removed while its tree is being built: the others are none the worse for it.</summary>
    private async Task PrepareAsync(WorkerTree tree, CancellationToken cancellationToken)
    {
        try
        {
            if (Find(tree.ChainId) == tree)
            {
                await _roots.PrepareAsync(tree, cancellationToken);
            }
        }
        catch (Exception e) when (e is FailureException or OperationCanceledException && !cancellationToken.IsCancellationRequested && Find(tree.ChainId) != tree)
        {
            LibraryLog.TreeNotBuilt(_logger, tree.ChainId.ToString(), e.Message);
        }
    }

    private string DirectoryOf(Digest chainId) => Path.Combine(_imagesDirectory, chainId.Hex);

    /// <summary>What a reception made known that was not known before.</summary>
    private sealed record Added(IReadOnlyList<WorkerTree> Trees, IReadOnlyCollection<ChainRecord> Chains);
}
