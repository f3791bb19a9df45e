using Starlight.Application.Abstractions.Images;
using Starlight.Application.Indexing;
using Starlight.Application.Refill;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Notify;

/// <param name="Layers">As the manifest lists them; none for an image that was complete already.</param>
internal sealed record IndexingOutcome(IndexedImage Image, bool IsNew, IReadOnlyList<ReadLayer> Layers);

/// <summary>Turns a resolved image into what the catalog stores. Writes nothing but contents.</summary>
internal sealed class ImageIndexer(LayerIndexer layers, ReadableImages readable, ImageAssembler assembler, TimeProvider time)
{
    /// <summary>
    /// 1. read the layers that are not known, and make sure of the others; 2. compare them with the configuration; 3. put them together; 4. compare the filesystem image with what the converter
    /// promised; 5. gather what the catalog stores.
    /// </summary>
    /// <param name="open">Opens the image's source.</param>
    /// <param name="origin">The same source, for contents that are needed once more.</param>
    /// <param name="resolved">The image.</param>
    /// <param name="read">Layers that this notify has read, which the catalog does not know yet; those of this image are added.</param>
    /// <param name="progress">Told about layers and stages.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public async Task<IndexingOutcome> IndexAsync(Func<IImageSource> open, ImageOrigin origin, ResolvedImage resolved, Dictionary<Digest, ReadLayer> read, IProgress<NotifyProgress> progress, CancellationToken cancellationToken)
    {
        if (resolved.Known is { } known)
        {
            // Contents that are not here any more come back when somebody needs them.
            await readable.RequireAsync(open, origin, known, cancellationToken);
            return new IndexingOutcome(known, IsNew: false, []);
        }

        (ImageManifest manifest, ImageConfig config) = (resolved.Manifest!, resolved.Config!);
        if (manifest.Layers.Count != config.DiffIds.Count)
        {
            throw new FailureException(NotifyErrors.DiffIdCount(manifest.Digest, config.DiffIds.Count, manifest.Layers.Count));
        }

        // 1.
        Descriptor[] unread = [.. manifest.Layers.Where(l => !read.ContainsKey(l.Digest)).DistinctBy(l => l.Digest)];
        foreach (ReadLayer layer in await ReadLayersAsync(open, origin, unread, progress, cancellationToken))
        {
            read.Add(layer.Layer.Digest, layer);
        }

        ReadLayer[] own = [.. manifest.Layers.Select(l => read[l.Digest])];
        await readable.RequireAsync(open, origin, manifest.Layers, cancellationToken);

        // 2.
        for (int i = 0; i < own.Length; i++)
        {
            if (own[i].Layer.DiffId != config.DiffIds[i])
            {
                throw new FailureException(NotifyErrors.DiffId(own[i].Layer.Digest, own[i].Layer.DiffId, config.DiffIds[i]));
            }
        }

        // 3.
        progress.Report(new NotifyProgress(NotifyStage.Merging, manifest.Digest));
        ContentOrigin contents = new([.. own.Select(l => l.Layer).Reverse().DistinctBy(l => l.Digest)], [origin]);
        using AssembledImage assembled = await assembler.AssembleAsync(own.Select(l => l.Layer), config, contents, cancellationToken);
        FilesystemImageContents names = assembled.Names;

        // 4.
        if (manifest.Annotations.TryGetValue(StarlightAnnotations.FilesystemDigest, out string? promised) && promised != assembled.Filesystem.Digest.ToString())
        {
            throw new FailureException(NotifyErrors.FilesystemDigest(manifest.Digest, promised, assembled.Filesystem.Digest));
        }

        // 5. The tree is not needed any more, and afterwards nothing but what is stored.
        LargeImages.ReleaseGarbage(names.Contents.Count);
        IndexedImage image = new()
        {
            Digest = manifest.Digest,
            Platform = resolved.Platform,
            MediaType = manifest.MediaType,
            Manifest = manifest.Raw,
            Config = config.Raw,
            FilesystemDigest = assembled.Filesystem.Digest,
            Unit = assembler.EncodeUnit(manifest.Raw, manifest.MediaType, config.Raw, assembled),
            Layers = [.. manifest.Layers.Select(l => l.Digest)],
            Order = assembled.Order.Indexes,
            HotCount = assembled.Order.HotCount,
            FileCount = assembled.FileCount,
            ContentBytes = names.Contents.Sum(c => c.Size),
            IndexedAt = time.GetUtcNow(),
        };
        return new IndexingOutcome(image.Verified(), IsNew: true, own);
    }

    private async Task<ReadLayer[]> ReadLayersAsync(Func<IImageSource> open, ImageOrigin origin, Descriptor[] unread, IProgress<NotifyProgress> progress, CancellationToken cancellationToken)
    {
        // The first failure stops the other reads; LayerIndexer limits how many run at a time.
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<ReadLayer>[] reads = [.. unread.Select(ReadAsync)];
        return await Task.WhenAll(reads);

        async Task<ReadLayer> ReadAsync(Descriptor layer)
        {
            try
            {
                LayerProgress layerProgress = new(progress, layer);
                return await layers.IndexAsync(open, origin, layer, layerProgress, stop.Token);
            }
            catch
            {
                await stop.CancelAsync();
                throw;
            }
        }
    }

    private sealed class LayerProgress(IProgress<NotifyProgress> progress, Descriptor layer) : IProgress<long>
    {
        public void Report(long value) => progress.Report(new NotifyProgress(NotifyStage.Layer, layer.Digest, value, layer.Size));
    }
}
