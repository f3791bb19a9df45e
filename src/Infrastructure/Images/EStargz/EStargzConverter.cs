using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.EStargz;

/// <param name="TemporaryDirectory">
/// Where blobs wait until they are pushed. Needs room for the largest layers being converted at once, twice for layers that claim to be eStargz, and for their tars if they are put in order.
/// </param>
internal sealed record EStargzConverterOptions(string TemporaryDirectory);

/// <summary>
/// Rewrites layers as eStargz:
/// <code>
/// blob → gunzip / unzstd → tar → headers as they are, payloads cut into members → compress on all processors → temporary file
///                          tar → temporary file → tar in its new order → … the same, if files are to come first
/// </code>
/// Memory: about 50 MB a layer plus its list of entries, whatever the layer's size. Safe for concurrent use; the processors are shared.
/// </summary>
internal sealed class EStargzConverter(EStargzConverterOptions options) : ILayerConverter, IDisposable
{
    private readonly SemaphoreSlim _processors = new(Environment.ProcessorCount);

    public async Task<ConvertedLayer> ConvertAsync(Stream blob, Descriptor source, PrioritizedFiles? files, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        TwoPasses? passes = files is null || progress is null ? null : new TwoPasses(progress, source.Size);
        LayerBlobStream counted = new(blob, passes is null ? progress : passes.Pass(0, source.Size));
        if (!source.Annotations.ContainsKey(StarlightAnnotations.TocDigest))
        {
            return await WriteAsync(counted, files, passes, cancellationToken);
        }

        BlobFile file = new(options.TemporaryDirectory);
        try
        {
            return await RecogniseAsync(counted, file, source, toc => files is null || IsInOrder(toc.Scan, toc.Prioritized, files), cancellationToken)
                ?? await WriteFromAsync(file, files, passes, cancellationToken);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public async Task<ConvertedLayer?> TryRecogniseAsync(Stream blob, Descriptor descriptor, PrioritizedFiles? files, CancellationToken cancellationToken)
    {
        BlobFile file = new(options.TemporaryDirectory);
        ConvertedLayer? recognised = null;
        try
        {
            PrioritizedFiles wanted = files ?? PrioritizedFiles.None;
            return recognised = await RecogniseAsync(new LayerBlobStream(blob, progress: null), file, descriptor, toc => IsInOrder(toc.Scan, toc.Prioritized, wanted), cancellationToken);
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

    private static bool IsInOrder(LayerScan scan, int prioritized, PrioritizedFiles files)
    {
        LayerOrder order = LayerOrder.Of(scan.Entries, files);
        return order.IsInPlace && order.First.Count == prioritized;
    }

    /// <summary>
    /// Keeps the blob in <paramref name="file"/> while it is scanned; the result owns the file. Null if it is not the eStargz layer that its descriptor announces, or one that <paramref name="isWanted"/>
    /// refuses when it is told how many entries stand before the landmark.
    /// </summary>
    private static async Task<ConvertedLayer?> RecogniseAsync(
        LayerBlobStream blob, BlobFile file, Descriptor descriptor, Func<(LayerScan Scan, int Prioritized), bool> isWanted, CancellationToken cancellationToken)
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
            return toc is not { Prioritized: { } prioritized } || !isWanted((scan, prioritized))
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

    private async Task<ConvertedLayer> WriteFromAsync(BlobFile original, PrioritizedFiles? files, TwoPasses? passes, CancellationToken cancellationToken)
    {
        using (original)
        {
            return await WriteAsync(new LayerBlobStream(original.Open(0, original.Length), progress: null), files, passes, cancellationToken);
        }
    }

    private async Task<ConvertedLayer> WriteAsync(LayerBlobStream source, PrioritizedFiles? files, TwoPasses? passes, CancellationToken cancellationToken)
    {
        await using Stream tar = LayerDecompression.Open(source, LayerDecompression.Detect((await source.PeekAsync(cancellationToken)).Span));
        if (files is null)
        {
            using TarReader straight = new(tar);
            return await WriteAsync(straight, firstCount: 0, sourceDiffId: null, source, cancellationToken);
        }

        using SpooledTar spooled = await SpooledTar.ReadAsync(tar, files, options.TemporaryDirectory, cancellationToken);
        await using Stream rearranged = spooled.Open(passes?.Pass(1, spooled.Length));
        using TarReader reader = new(rearranged);
        return await WriteAsync(reader, spooled.FirstCount, spooled.DiffId, source, cancellationToken);
    }

    /// <param name="tar">The entries in the order in which they are to be written.</param>
    /// <param name="firstCount">So many entries come before the landmark.</param>
    /// <param name="sourceDiffId">Null if <paramref name="tar"/> is what the source has.</param>
    /// <param name="source">To be read to its end.</param>
    /// <param name="cancellationToken">Removes what was written.</param>
    private async Task<ConvertedLayer> WriteAsync(TarReader tar, int firstCount, Digest? sourceDiffId, LayerBlobStream source, CancellationToken cancellationToken)
    {
        BlobFile file = new(options.TemporaryDirectory);
        try
        {
            await using EStargzWriter writer = new(file, _processors);
            List<LayerEntry> entries = [];
            LayerBudget budget = default;
            if (firstCount == 0)
            {
                await writer.WriteLandmarkAsync(hasPrioritised: false, cancellationToken);
            }

            while (await tar.NextAsync(cancellationToken) is { } entry)
            {
                budget.Take(entry);
                if (EStargzNames.IsReserved(entry))
                {
                    continue;
                }

                entries.Add(await writer.WriteEntryAsync(entry, tar.ReadContentAsync, cancellationToken));
                if (entries.Count == firstCount)
                {
                    await writer.WriteLandmarkAsync(hasPrioritised: true, cancellationToken);
                }
            }

            Digest diffId = await tar.DrainAsync(cancellationToken);
            if (!await source.DrainAsync(cancellationToken))
            {
                throw LayerFailures.Malformed("something follows its compressed data");
            }

            EStargzSummary summary = await writer.FinishAsync(cancellationToken);
            return new ConvertedLayer(
                new ConvertedLayerInfo(summary.Digest, summary.Size, summary.DiffId, summary.TocDigest, summary.UncompressedSize, sourceDiffId ?? diffId, IsUnchanged: false),
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
}
