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

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// The images on this worker: what is here, what is being received, and what a container is mounted from. One per daemon. Four parts:
/// receiving (this file), pulls that share a reception (<c>.Sharing</c>), providing layers to the snapshotter (<c>.Provide</c>), start-up and freeing (<c>.Lifetime</c>).
/// </summary>
public sealed partial class ImageLibrary : IWorkerImages, IAsyncDisposable
{
    /// <summary>More bases would make the request longer without making the answer shorter: the likeliest relatives come first. Arbitrary.</summary>
    private const int MaxBases = 16;

    private readonly string _imagesDirectory;
    private readonly ImageRecords _records;
    private readonly ObjectStore _objects;
    private readonly ArrivalBoard _board;
    private readonly ITreeRoots _roots;
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
        IFilesystemImages filesystems,
        TimeProvider time,
        ILogger<ImageLibrary> logger)
    {
        _imagesDirectory = layout.ImagesDirectory;
        Directory.CreateDirectory(_imagesDirectory);
        _records = new ImageRecords(layout.ImagesDatabase);
        _objects = objects;
        _board = board;
        _roots = roots;
        _filesystems = filesystems;
        _time = time;
        _logger = logger;
        _board.Wanted += content => ThreadPool.UnsafeQueueUserWorkItem(static wanted => wanted.Library.Want(wanted.Content), (Library: this, Content: content), preferLocal: false);
        Load();
    }

    public bool SupportsEarlyStart => _roots.SupportsEarlyStart;

    public IReadOnlyList<BaseImage> FindBases(IReadOnlyList<ImageReference> wanted)
    {
        HashSet<string> repositories = [.. wanted.Select(r => r.Name)];
        List<(BaseImage Image, bool Related)> found = [];
        HashSet<Digest> trees = [];
        foreach (ImageRecord record in _records.Images())
        {
            if (IsComplete(record.ChainId) && trees.Add(record.ChainId) && ImageReference.Parse(record.Reference) is { IsSuccess: true } reference)
            {
                found.Add((new BaseImage(reference.Value, record.ManifestDigest), repositories.Contains(reference.Value.Name)));
            }
        }

        // stable: within each group the most recently pulled stays first
        return [.. found.OrderByDescending(f => f.Related).Take(MaxBases).Select(f => f.Image)];
    }

    public Result<BaseImage> FindBase(ImageReference reference)
    {
        ImageRecord? record = _records.Images().FirstOrDefault(r =>
            (r.Reference == reference.ToString() || (reference.Digest is { } digest && r.ManifestDigest == digest)) && IsComplete(r.ChainId));
        return record is null
            ? new Error("Image.BaseUnknown", $"{reference} cannot be the base: it is not on this worker, or not complete yet. Leave the base out to let Starlight choose", ErrorKind.NotFound)
            : new BaseImage(ImageReference.Parse(record.Reference).Value, record.ManifestDigest);
    }

    public async Task<Result<IImageReception>> BeginAsync(
        ProxyProfile proxy,
        DeltaRequest request,
        IIncomingBundle bundle,
        IReadOnlyList<IncomingImage> images,
        CancellationToken cancellationToken)
    {
        IncomingBundle incoming = (IncomingBundle)bundle;
        bool handedOver = false;
        try
        {
            await _registering.WaitAsync(cancellationToken);
            try
            {
                if (RunningReceptionOf(images) is { } running)
                {
                    return running;
                }

                if (MissingContent(incoming) is { } missing)
                {
                    return new Error("Bundle.BaseIncomplete", $"the proxy left out {missing}, which is not on this worker", ErrorKind.FailedPrecondition);
                }

                Added added = await AddTreesAsync(proxy, request, incoming, images, cancellationToken);
                ImageReception reception = new(incoming, _objects, _board, TreesOf(images), FinishedAsync, _time, _logger) { Abandoned = _ => TakeBackAsync(added) };
                ReceptionShare share;
                lock (_lock)
                {
                    share = Share(reception, images);
                    foreach (WorkerTree tree in reception.Trees.Where(t => !t.Complete && t.Reception is null or { IsAbandoned: true }))
                    {
                        tree.Reception = reception;
                    }
                }

                _board.Expect(incoming.Contents.Select(c => c.Digest));
                handedOver = true;
                LibraryLog.ReceptionStarted(_logger, string.Join(", ", request.Images), incoming.Contents.Count, incoming.Contents.Sum(c => c.Size));
                return share;
            }
            finally
            {
                _registering.Release();
            }
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

    private static ChainSource SourceOf(ChainRecord chain) => new(
        chain.ProxyProfile, ImageReference.Parse(chain.Reference).Value.WithDigest(chain.ManifestDigest), Platform.Parse(chain.Platform).Value, chain.Layers);

    private bool IsComplete(Digest chainId)
    {
        lock (_lock)
        {
            return _trees.TryGetValue(chainId, out WorkerTree? tree) && tree.Complete;
        }
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
        long now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        List<WorkerTree> trees = [];
        List<ImageRecord> records = [];
        List<ChainRecord> chains = [];
        try
        {
            for (int i = 0; i < images.Count; i++)
            {
                IncomingImage image = images[i];
                if (request.Layers is null)
                {
                    // part of an image is no image: the chain it is the tree of is known already
                    ImageRecord record = new(image.Reference.ToString(), image.ManifestDigest, image.TopChainId, proxy.Name, request.Platform.ToString(), now);
                    records.Add(record);
                    chains.AddRange(ChainRecord.AllOf(record, image.ChainIds));
                }

                lock (_lock)
                {
                    if (_trees.ContainsKey(image.TopChainId) || trees.Exists(t => t.ChainId == image.TopChainId))
                    {
                        continue;
                    }
                }

                WorkerTree tree = new(new TreeRecord(image.ChainIds, image.FilesystemDigest, Complete: false, now), DirectoryOf(image.TopChainId))
                {
                    Contents = bundle.ImageContents[i],
                    Touched = _time.GetTimestamp(),
                };
                trees.Add(tree);
                await FilesystemImageFile.WriteAsync(tree.FilesystemImagePath, bundle.Images[i].FilesystemImage, cancellationToken);
            }

            _records.Add([.. trees.Select(t => t.Record)], records, chains);
        }
        catch
        {
            foreach (WorkerTree tree in trees)
            {
                DeleteDirectory(tree.Directory);
            }

            throw;
        }

        List<ChainRecord> newChains = [];
        lock (_lock)
        {
            foreach (WorkerTree tree in trees)
            {
                _trees.Add(tree.ChainId, tree);
            }

            foreach (ChainRecord chain in chains)
            {
                if (!_chains.ContainsKey(chain.ChainId))
                {
                    newChains.Add(chain);
                }

                _chains[chain.ChainId] = chain;
            }
        }

        return new Added(trees, newChains);
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
                await _roots.PrepareAsync(tree, reception.Stopping);
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

    private string DirectoryOf(Digest chainId) => Path.Combine(_imagesDirectory, chainId.Hex);

    /// <summary>What a reception made known that was not known before.</summary>
    private sealed record Added(IReadOnlyList<WorkerTree> Trees, IReadOnlyCollection<ChainRecord> Chains);
}
