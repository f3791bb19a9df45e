using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Indexing;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Notify;

/// <param name="IsNew">It was read from the registry by this run.</param>
/// <param name="Added">Contents that the store did not hold before, and their bytes.</param>
internal sealed record ReadLayer(IndexedLayer Layer, bool IsNew, (long Count, long Bytes) Added);

/// <summary>
/// Reads layers: once each, however many images and callers want one, and never again while the catalog knows it; contents that have gone missing come back by
/// themselves when they are needed. At most <see cref="ParallelLayers"/> are read at a time, which bounds memory.
/// </summary>
internal sealed class LayerIndexer(IImageCatalog catalog, ClaimedWork claimed, IContentStore contents, ILayerScanner scanner)
{
    /// <summary>Decompressing and hashing keep one core busy each; the registry is near. Two also hide each other's waits.</summary>
    public const int ParallelLayers = 2;

    private readonly SharedWork<Digest, long, ReadLayer> _reads = new();
    private readonly SemaphoreSlim _slots = new(ParallelLayers);

    /// <param name="open">
    /// Opens the source of the image. Called for the run itself, because the run may outlive the caller that started it.
    /// </param>
    /// <param name="origin">The same source.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="progress">Told about bytes read.</param>
    /// <param name="cancellationToken">Stops waiting; the run goes on while others wait for it.</param>
    public Task<ReadLayer> IndexAsync(Func<IImageSource> open, ImageOrigin origin, Descriptor layer, IProgress<long> progress, CancellationToken cancellationToken) =>
        _reads.RunAsync(layer.Digest, (audience, token) => RunAsync(open, origin, layer, audience, token), progress, cancellationToken);

    private async Task<ReadLayer> RunAsync(Func<IImageSource> open, ImageOrigin origin, Descriptor descriptor, IProgress<long> progress, CancellationToken cancellationToken)
    {
        // Another proxy on this database may be reading it: then this one waits without taking a slot.
        return await claimed.RunAsync($"layer {descriptor.Digest}", LookAsync, ReadAsync, cancellationToken);

        async Task<ReadLayer?> LookAsync() => await catalog.FindLayerAsync(descriptor.Digest, cancellationToken) is { } known ? new ReadLayer(known, IsNew: false, default) : null;

        async Task<ReadLayer> ReadAsync(CancellationToken token)
        {
            await _slots.WaitAsync(token);
            try
            {
                ReadLayer read = await ScanAsync(open, origin, descriptor, progress, token);
                if (read.Layer.IsLarge)
                {
                    // Its entries, which are merged next, one by one.
                    LargeImages.ReleaseGarbage();
                }

                return read;
            }
            finally
            {
                _slots.Release();
            }
        }
    }

    private async Task<ReadLayer> ScanAsync(Func<IImageSource> open, ImageOrigin origin, Descriptor descriptor, IProgress<long> progress, CancellationToken cancellationToken)
    {
        await using IImageSource source = open();
        await using Stream blob = await source.OpenBlobAsync(descriptor, cancellationToken);
        await using ProgressStream counted = new(blob, progress);
        await using IContentIntake intake = contents.OpenIntake();
        LayerScan scan = await ScanAsync(descriptor, counted, intake, cancellationToken);
        IndexedLayer layer = new(descriptor.Digest, scan.DiffId, descriptor.Size, scan.UncompressedSize, scan.IsEStargz, default) { Members = scan.Members };

        // At once, not with the image: other proxies wait for it, and it is true whatever becomes of the image.
        IndexedLayer recorded = await catalog.RecordLayerAsync(layer, scanner.EncodeIndex(scan.Entries), origin, cancellationToken);
        return new ReadLayer(recorded, IsNew: true, intake.Added);
    }

    /// <summary>The scanner does not know which of an image's layers it reads; whoever has to repair one needs its name.</summary>
    private async Task<LayerScan> ScanAsync(Descriptor layer, Stream blob, IContentIntake intake, CancellationToken cancellationToken)
    {
        try
        {
            return await scanner.ScanAsync(blob, layer.MediaType, intake, cancellationToken);
        }
        catch (FailureException e) when (e.Error.Code.StartsWith("Layer.", StringComparison.Ordinal))
        {
            throw new FailureException(NotifyErrors.Layer(layer.Digest, e.Error), e);
        }
    }
}
