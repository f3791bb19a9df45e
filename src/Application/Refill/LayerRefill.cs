using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Refill;

/// <summary>
/// Reads contents again that the store does not hold: single members of eStargz layers by ranges, other layers by another scan. What arrives is checked by its digest before it
/// is stored. A content that several want is read once; at most <see cref="ParallelReads"/> reads run at a time, which bounds memory and the load on the registry.
/// </summary>
internal sealed class LayerRefill(IImageCatalog catalog, IContentStore store, ILayerContents members, ILayerScanner scanner, IImageTransports transports)
{
    /// <summary>Enough to hide a registry's answer time behind the decompression of other members. Arbitrary.</summary>
    private const int ParallelReads = 4;

    /// <summary>What one read brings at most, in raw bytes, so that the first contents of a bundle do not wait for the last.</summary>
    private const long ReadBytes = 8 << 20;

    private readonly SemaphoreSlim _slots = new(ParallelReads);

    /// <summary>Guards the dictionaries below.</summary>
    private readonly Lock _gate = new();

    /// <summary>Contents being read, by whoever was first to want them.</summary>
    private readonly Dictionary<Digest, TaskCompletionSource> _reading = [];

    /// <summary>One scan of a layer at a time: the next mostly finds that it brought everything.</summary>
    private readonly Dictionary<Digest, (SemaphoreSlim Gate, int Users)> _scans = [];

    /// <summary>Brings contents into the store; <paramref name="arrived"/> is told about each as soon as it is there, from any thread.</summary>
    /// <exception cref="FailureException">Unavailable <c>Bundle.ContentMissing</c> if no layer has a content; what the registry fails with.</exception>
    public async Task ReadAsync(ContentOrigin origin, IReadOnlyList<ContentRef> wanted, Action<Digest> arrived, CancellationToken cancellationToken)
    {
        IReadOnlyList<Read> reads = await PlanAsync(origin, wanted, cancellationToken);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] running = [.. reads.Select(RunAsync)];
        await Task.WhenAll(running);

        async Task RunAsync(Read read)
        {
            try
            {
                await ReadOnceAsync(origin, read, arrived, stop.Token);
            }
            catch
            {
                await stop.CancelAsync();
                throw;
            }
        }
    }

    /// <summary>In the order of <paramref name="wanted"/>, which is the order of the bundle.</summary>
    private async Task<List<Read>> PlanAsync(ContentOrigin origin, IReadOnlyList<ContentRef> wanted, CancellationToken cancellationToken)
    {
        HashSet<Digest> open = [.. wanted.Select(c => c.Digest)];
        Dictionary<Digest, (IndexedLayer Layer, LocatedContent Content)> places = [];
        foreach (IndexedLayer layer in origin.Layers)
        {
            if (open.Count == 0)
            {
                break;
            }

            using LayerIndex index = await catalog.OpenIndexAsync(layer, cancellationToken);
            foreach (LocatedContent content in members.Locate(index, open))
            {
                places.Add(content.Content.Digest, (layer, content));
                open.Remove(content.Content.Digest);
            }
        }

        if (open.Count > 0 || (places.Count > 0 && origin.Repositories.Count == 0))
        {
            throw new FailureException(RefillErrors.ContentMissing(open.Count > 0 ? open.First() : wanted[0].Digest));
        }

        List<Read> reads = [];
        Dictionary<Digest, Read> filling = [];
        Dictionary<Digest, List<ContentRef>> ofLayers = [];
        foreach ((IndexedLayer layer, LocatedContent content) in wanted.DistinctBy(c => c.Digest).Select(c => places[c.Digest]))
        {
            if (!ofLayers.TryGetValue(layer.Digest, out List<ContentRef>? ofLayer))
            {
                ofLayers.Add(layer.Digest, ofLayer = []);
            }

            ofLayer.Add(content.Content);
            if (!filling.TryGetValue(layer.Digest, out Read? read) || (content.Pieces.Count > 0 && read.Bytes >= ReadBytes))
            {
                read = new Read(layer, [], ofLayer);
                filling[layer.Digest] = read;
                reads.Add(read);
            }

            read.Contents.Add(content);
            read.Bytes += content.Content.Size;
        }

        return reads;
    }

    /// <summary>Takes what nobody else is reading, waits for what somebody is, and looks again: the other one may have failed or been given up.</summary>
    private async Task ReadOnceAsync(ContentOrigin origin, Read read, Action<Digest> arrived, CancellationToken cancellationToken)
    {
        List<LocatedContent> left = read.Contents;
        while (left.Count > 0)
        {
            List<LocatedContent> own = [];
            List<(LocatedContent Content, Task Reading)> others = [];
            lock (_gate)
            {
                foreach (LocatedContent content in left)
                {
                    if (_reading.TryGetValue(content.Content.Digest, out TaskCompletionSource? reading))
                    {
                        others.Add((content, reading.Task));
                    }
                    else if (!store.Contains(content.Content.Digest))
                    {
                        _reading.Add(content.Content.Digest, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                        own.Add(content);
                    }
                    else
                    {
                        arrived(content.Content.Digest);
                    }
                }
            }

            try
            {
                if (own.Count > 0)
                {
                    await FetchAsync(origin, read, own, cancellationToken);
                }
            }
            finally
            {
                foreach (LocatedContent content in own)
                {
                    TaskCompletionSource? reading;
                    lock (_gate)
                    {
                        _reading.Remove(content.Content.Digest, out reading);
                    }

                    reading?.SetResult();
                }
            }

            own.ForEach(c => arrived(c.Content.Digest));
            foreach ((_, Task reading) in others)
            {
                await reading.WaitAsync(cancellationToken);
            }

            left = [.. others.Select(o => o.Content)];
        }
    }

    private async Task FetchAsync(ContentOrigin origin, Read read, List<LocatedContent> contents, CancellationToken cancellationToken)
    {
        for (int i = 0; ; i++)
        {
            try
            {
                await FetchAsync(origin.Repositories[i], read, contents, cancellationToken);
                return;
            }
            catch (FailureException) when (i + 1 < origin.Repositories.Count)
            {
                // The image is in another repository, too; the last one's failure is the one that is reported.
            }
        }
    }

    private async Task FetchAsync(ImageOrigin repository, Read read, List<LocatedContent> contents, CancellationToken cancellationToken)
    {
        IndexedLayer layer = read.Layer;
        ImageReference reference = ImageReference.Parse($"{repository.Registry}/{repository.Repository}@{layer.Digest}").Value;
        Descriptor blob = new(MediaTypes.OciLayerGzip, layer.Digest, layer.Size);
        await using IImageSource source = transports.OpenSource(reference, new RegistryAccess(repository.Insecure));
        if (contents.TrueForAll(c => c.Pieces.Count > 0) && await TryReadMembersAsync(source, blob, contents, cancellationToken))
        {
            return;
        }

        await ScanAsync(source, blob, contents, read.OfLayer, cancellationToken);
    }

    /// <summary>False if the blob's table of contents has lied or the registry serves no ranges: a scan does without both.</summary>
    private async Task<bool> TryReadMembersAsync(IImageSource source, Descriptor blob, List<LocatedContent> contents, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken);
        try
        {
            await using IContentIntake intake = store.OpenIntake([.. contents.Select(c => c.Content)]);
            await members.ReadAsync((offset, length, token) => source.OpenBlobRangeAsync(blob, offset, length, token), contents, intake, cancellationToken);
            return true;
        }
        catch (FailureException e) when (e.Error.Kind is ErrorKind.DataCorrupt or ErrorKind.Unsupported)
        {
            return false;
        }
        finally
        {
            _slots.Release();
        }
    }

    /// <summary>A scan brings everything that is wanted of the layer, not only what this read was for: the reads behind it then find theirs here.</summary>
    private async Task ScanAsync(IImageSource source, Descriptor blob, List<LocatedContent> contents, List<ContentRef> ofLayer, CancellationToken cancellationToken)
    {
        SemaphoreSlim gate = EnterScan(blob.Digest);
        try
        {
            await gate.WaitAsync(cancellationToken);
            try
            {
                if (contents.TrueForAll(c => store.Contains(c.Content.Digest)))
                {
                    return;
                }

                await _slots.WaitAsync(cancellationToken);
                try
                {
                    await using IContentIntake intake = store.OpenIntake(ofLayer);
                    await using Stream stream = await source.OpenBlobAsync(blob, cancellationToken);
                    await scanner.ScanAsync(stream, blob.MediaType, intake, cancellationToken);
                }
                finally
                {
                    _slots.Release();
                }
            }
            finally
            {
                gate.Release();
            }
        }
        finally
        {
            LeaveScan(blob.Digest);
        }
    }

    private SemaphoreSlim EnterScan(Digest layer)
    {
        lock (_gate)
        {
            (SemaphoreSlim gate, int users) = _scans.TryGetValue(layer, out (SemaphoreSlim Gate, int Users) scan) ? scan : (new SemaphoreSlim(1), 0);
            _scans[layer] = (gate, users + 1);
            return gate;
        }
    }

    private void LeaveScan(Digest layer)
    {
        lock (_gate)
        {
            (SemaphoreSlim gate, int users) = _scans[layer];
            if (users == 1)
            {
                _scans.Remove(layer);
                gate.Dispose();
            }
            else
            {
                _scans[layer] = (gate, users - 1);
            }
        }
    }

    /// <summary>Contents of one layer that are read together.</summary>
    /// <param name="OfLayer">Everything that is wanted of it, by all reads.</param>
    private sealed record Read(IndexedLayer Layer, List<LocatedContent> Contents, List<ContentRef> OfLayer)
    {
        public long Bytes { get; set; }
    }
}
