using System.Collections.Concurrent;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.References;
using Starlight.Domain.Trees;

namespace Starlight.Application.Convert;

/// <param name="IsReused">Neither converted nor sent.</param>
internal sealed record LayerOutcome(ConvertedLayerInfo Info, IReadOnlyList<LayerEntry> Entries, bool IsReused);

/// <summary>
/// Brings the layers of one conversion to the destination, each once. For a layer, the first of these that works:
/// 1. This machine's cache knows the layer as it is to be and the destination has it, or can mount it from a repository that does.
/// 2. The destination's tag has a layer that was made from this one: it is read to learn what is in it and what comes first.
/// 3. The layer is eStargz already and nothing else shall come first: it is mounted from the source repository or copied.
/// 4. It is converted and sent.
/// </summary>
internal sealed class LayerConversions(
    ConvertImageCommand command,
    IImageSource source,
    IImageDestination destination,
    IImageTransports transports,
    ILayerConverter converter,
    IConversionCache cache,
    IReadOnlyDictionary<Digest, Descriptor> previous)
{
    /// <summary>Layers at a time. Compressing is shared between all processors anyway; more layers only cost memory (50 MB each) and temporary disk.</summary>
    private static readonly int Parallelism = Math.Clamp(Environment.ProcessorCount, 2, 4);

    /// <summary>Repositories remembered for a blob. Arbitrary.</summary>
    private const int MaxRepositories = 8;

    /// <summary>By layer and what comes first in it: platforms may share a layer and not their order.</summary>
    private readonly ConcurrentDictionary<(Digest Layer, PrioritizedFiles? Files), LayerOutcome> _done = new();

    /// <summary>The outcomes in the order of <paramref name="layers"/>. The first failure stops the others.</summary>
    /// <param name="layers">Of one manifest.</param>
    /// <param name="diffIds">What the configuration says of them.</param>
    /// <param name="files">Of the image, that shall come first in their layers; null to leave the layers' order alone.</param>
    /// <param name="cancellationToken">Stops all.</param>
    public async Task<IReadOnlyList<LayerOutcome>> ConvertAsync(
        IReadOnlyList<Descriptor> layers, IReadOnlyList<Digest> diffIds, PrioritizedFiles? files, CancellationToken cancellationToken)
    {
        IEnumerable<(Descriptor Layer, Digest DiffId)> missing = layers.Zip(diffIds).DistinctBy(l => l.First.Digest).Where(l => !_done.ContainsKey((l.First.Digest, files)));
        await Parallel.ForEachAsync(missing, new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken }, async (item, token) =>
            _done[(item.Layer.Digest, files)] = await ConvertAsync(item.Layer, item.DiffId, files, token));
        return [.. layers.Select(l => _done[(l.Digest, files)])];
    }

    private async Task<LayerOutcome> ConvertAsync(Descriptor layer, Digest diffId, PrioritizedFiles? files, CancellationToken cancellationToken)
    {
        LayerOutcome outcome = await TryCachedAsync(layer, diffId, files, cancellationToken)
            ?? await TryPreviousAsync(layer, diffId, files, cancellationToken)
            ?? await MakeAsync(layer, files, cancellationToken);
        Report(layer, outcome.IsReused ? ConvertStage.Reused : ConvertStage.Done, outcome.Info.Size, outcome.Info.Size);
        return outcome;
    }

    private async Task<LayerOutcome?> TryCachedAsync(Descriptor layer, Digest diffId, PrioritizedFiles? files, CancellationToken cancellationToken)
    {
        // which of the files are in the layer is known if it was ever converted here
        IReadOnlyList<LayerEntry>? entries = files is null ? [] : await cache.TryGetEntriesAsync(layer.Digest, cancellationToken);
        if (entries is null)
        {
            return null;
        }

        ConversionKey key = KeyOf(layer, files, entries);
        CachedConversion? cached = await cache.TryGetAsync(key, cancellationToken);
        // without its annotation an eStargz layer is converted like any other: the result must not depend on what this machine has seen before
        if (cached is null || cached.Layer.SourceDiffId != diffId || (cached.Layer.IsUnchanged && !AnnouncesEStargz(layer)))
        {
            return null;
        }

        IEnumerable<string> repositories = cached.Layer.IsUnchanged ? cached.Repositories.Concat(SourceRepository()) : cached.Repositories;
        if (!await TryPlaceAsync(BlobOf(cached.Layer), repositories, cancellationToken))
        {
            return null;
        }

        await RememberAsync(key, cached, cancellationToken);
        return new LayerOutcome(cached.Layer, cached.Entries, IsReused: true);
    }

    private async Task<LayerOutcome?> TryPreviousAsync(Descriptor layer, Digest diffId, PrioritizedFiles? files, CancellationToken cancellationToken)
    {
        // a layer that may turn out to be right as it is must not become another because the destination has one
        if (AnnouncesEStargz(layer) || !previous.TryGetValue(layer.Digest, out Descriptor? converted) || !await destination.HasBlobAsync(converted, cancellationToken))
        {
            return null;
        }

        await using IImageSource there = transports.OpenSource(command.Destination, new RegistryAccess(command.InsecureDestination));
        await using Stream blob = await there.OpenBlobAsync(converted, cancellationToken);
        using ConvertedLayer? found = await converter.TryRecogniseAsync(blob, converted, files, cancellationToken);
        if (found is null)
        {
            return null;
        }

        ConvertedLayerInfo info = found.Info with { SourceDiffId = diffId, IsUnchanged = false };
        await RememberAsync(KeyOf(layer, files, found.Entries), new CachedConversion(info, found.Entries, []), cancellationToken);
        return new LayerOutcome(info, found.Entries, IsReused: true);
    }

    private async Task<LayerOutcome> MakeAsync(Descriptor layer, PrioritizedFiles? files, CancellationToken cancellationToken)
    {
        await using Stream blob = await source.OpenBlobAsync(layer, cancellationToken);
        using ConvertedLayer converted = await converter.ConvertAsync(blob, layer, files, Count(layer, ConvertStage.Converting, layer.Size), cancellationToken);
        Descriptor descriptor = BlobOf(converted.Info);
        bool isPlaced = await TryPlaceAsync(descriptor, converted.Info.IsUnchanged ? SourceRepository() : [], cancellationToken);
        if (!isPlaced)
        {
            await destination.PushBlobAsync(
                descriptor, _ => Task.FromResult(converted.Open()), Count(layer, ConvertStage.Pushing, descriptor.Size), cancellationToken);
        }

        await RememberAsync(KeyOf(layer, files, converted.Entries), new CachedConversion(converted.Info, converted.Entries, []), cancellationToken);
        return new LayerOutcome(converted.Info, converted.Entries, IsReused: isPlaced && converted.Info.IsUnchanged);
    }

    private async Task<bool> TryPlaceAsync(Descriptor blob, IEnumerable<string> repositories, CancellationToken cancellationToken)
    {
        if (await destination.HasBlobAsync(blob, cancellationToken))
        {
            return true;
        }

        string registry = command.Destination.Registry + "/";
        foreach (string repository in repositories.Where(r => r.StartsWith(registry, StringComparison.Ordinal) && r != command.Destination.Name).Reverse())
        {
            if (await destination.TryMountBlobAsync(blob, repository[registry.Length..], cancellationToken))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Where the source's blobs can be mounted from; a path that happens to look like a reference does no harm, the registry just refuses.</summary>
    private IEnumerable<string> SourceRepository() => ImageReference.Parse(command.Source) is { IsSuccess: true } reference ? [reference.Value.Name] : [];

    private static bool AnnouncesEStargz(Descriptor layer) => layer.Annotations.ContainsKey(StarlightAnnotations.TocDigest);

    /// <summary>A layer without any of the files is converted as if none had been asked for, unless it is eStargz already and something else comes first in it.</summary>
    private static ConversionKey KeyOf(Descriptor layer, PrioritizedFiles? files, IReadOnlyList<LayerEntry> entries) =>
        files?.In(entries) is { } own && (own.Paths.Count > 0 || AnnouncesEStargz(layer)) ? new ConversionKey(layer.Digest, own.Digest) : new ConversionKey(layer.Digest);

    private Task RememberAsync(ConversionKey key, CachedConversion conversion, CancellationToken cancellationToken)
    {
        string here = command.Destination.Name;
        string[] repositories = [.. conversion.Repositories.Where(r => r != here).TakeLast(MaxRepositories - 1), here];
        return conversion.Repositories.SequenceEqual(repositories)
            ? Task.CompletedTask
            : cache.StoreAsync(key, conversion with { Repositories = repositories }, cancellationToken);
    }

    private static Descriptor BlobOf(ConvertedLayerInfo layer) => new(MediaTypes.OciLayerGzip, layer.Digest, layer.Size);

    private void Report(Descriptor layer, ConvertStage stage, long done, long total) => command.Progress?.Report(new LayerProgress(layer.Digest, stage, done, total));

    private Counter? Count(Descriptor layer, ConvertStage stage, long total) => command.Progress is { } progress ? new Counter(progress, layer.Digest, stage, total) : null;

    /// <summary>Adds up; a retried push starts over and may report more than there is, which is cut.</summary>
    private sealed class Counter(IConvertProgress progress, Digest layer, ConvertStage stage, long total) : IProgress<long>
    {
        private long _done;

        public void Report(long value) => progress.Report(new LayerProgress(layer, stage, Math.Min(total, Interlocked.Add(ref _done, value)), total));
    }
}
