using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.EStargz;

/// <param name="TemporaryDirectory">Where blobs wait until they are pushed. Needs room for the largest layers being converted at once, twice for layers that claim to be eStargz.</param>
internal sealed record EStargzConverterOptions(string TemporaryDirectory);

/// <summary>
/// Rewrites layers as eStargz:
/// <code>
/// blob → gunzip / unzstd → tar → headers as they are, payloads cut into members → compress on all processors → temporary file
/// </code>
/// Memory: about 50 MB a layer plus its list of entries, whatever the layer's size. Safe for concurrent use; the processors are shared.
/// </summary>
internal sealed class EStargzConverter(EStargzConverterOptions options) : ILayerConverter, IDisposable
{
    private readonly SemaphoreSlim _processors = new(Environment.ProcessorCount);

    public async Task<ConvertedLayer> ConvertAsync(Stream blob, Descriptor source, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        LayerBlobStream counted = new(blob, progress);
        if (!source.Annotations.ContainsKey(StarlightAnnotations.TocDigest))
        {
            return await WriteAsync(counted, cancellationToken);
        }

        BlobFile file = new(options.TemporaryDirectory);
        try
        {
            return await RecogniseAsync(counted, file, source, cancellationToken) ?? await WriteFromAsync(file, cancellationToken);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public async Task<ConvertedLayer?> TryRecogniseAsync(Stream blob, Descriptor descriptor, CancellationToken cancellationToken)
    {
        BlobFile file = new(options.TemporaryDirectory);
        ConvertedLayer? recognised = null;
        try
        {
            return recognised = await RecogniseAsync(new LayerBlobStream(blob, progress: null), file, descriptor, cancellationToken);
        }
        finally
        {
            if (recognised is null)
            {
                file.Dispose();
            }
        }
    }

    public void Dispose() => _processors.Dispose();

    /// <summary>Keeps the blob in <paramref name="file"/> while it is scanned; the result owns the file. Null if it is not the eStargz layer that its descriptor announces.</summary>
    private static async Task<ConvertedLayer?> RecogniseAsync(LayerBlobStream blob, BlobFile file, Descriptor descriptor, CancellationToken cancellationToken)
    {
        LayerScan scan = await new LayerScanner().ScanAsync(new TeeStream(blob, file), descriptor.MediaType, sink: null, cancellationToken);
        Digest digest = file.Complete();
        if (!scan.IsEStargz || !Digest.TryParse(descriptor.Annotations.GetValueOrDefault(StarlightAnnotations.TocDigest), out Digest tocDigest))
        {
            return null;
        }

        try
        {
            EStargzToc? toc = await EStargzReader.TryReadAsync((offset, length, _) => Task.FromResult(file.Open(offset, length)), file.Length, tocDigest, cancellationToken);
            return toc is not { HasLandmark: true }
                ? null
                : new ConvertedLayer(
                    new ConvertedLayerInfo(digest, file.Length, scan.DiffId, tocDigest, scan.UncompressedSize, scan.DiffId, IsUnchanged: true), scan.Entries, () => file.Open(0, file.Length), file);
        }
        catch (FailureException e) when (e.Error.Kind is ErrorKind.DataCorrupt or ErrorKind.ResourceExhausted)
        {
            // the tar is sound, only the TOC is not: the layer is converted like any other
            return null;
        }
    }

    private async Task<ConvertedLayer> WriteFromAsync(BlobFile original, CancellationToken cancellationToken)
    {
        using (original)
        {
            return await WriteAsync(new LayerBlobStream(original.Open(0, original.Length), progress: null), cancellationToken);
        }
    }

    private async Task<ConvertedLayer> WriteAsync(LayerBlobStream source, CancellationToken cancellationToken)
    {
        BlobFile file = new(options.TemporaryDirectory);
        try
        {
            await using Stream tar = LayerDecompression.Open(source, LayerDecompression.Detect((await source.PeekAsync(cancellationToken)).Span));
            using TarReader reader = new(tar);
            await using EStargzWriter writer = new(file, _processors);
            await writer.WriteLandmarkAsync(hasPrioritised: false, cancellationToken);
            List<LayerEntry> entries = [];
            LayerBudget budget = default;
            while (await reader.NextAsync(cancellationToken) is { } entry)
            {
                budget.Take(entry);
                if (!EStargzNames.IsReserved(entry))
                {
                    entries.Add(await writer.WriteEntryAsync(entry, reader.ReadContentAsync, cancellationToken));
                }
            }

            Digest sourceDiffId = await reader.DrainAsync(cancellationToken);
            if (!await source.DrainAsync(cancellationToken))
            {
                throw LayerFailures.Malformed("something follows its compressed data");
            }

            EStargzSummary summary = await writer.FinishAsync(cancellationToken);
            return new ConvertedLayer(
                new ConvertedLayerInfo(summary.Digest, summary.Size, summary.DiffId, summary.TocDigest, summary.UncompressedSize, sourceDiffId, IsUnchanged: false),
                entries,
                () => file.Open(0, file.Length),
                file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private sealed class TeeStream(Stream source, BlobFile copy) : ForwardReadStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int read = await source.ReadAsync(buffer, cancellationToken);
            await copy.WriteAsync(buffer[..read], cancellationToken);
            return read;
        }
    }
}
