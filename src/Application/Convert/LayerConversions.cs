using System.Collections.Concurrent;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.Trees;

namespace Starlight.Application.Convert;

/// <param name="IsReused">Neither converted nor sent.</param>
internal sealed record LayerOutcome(ConvertedLayerInfo Info, IReadOnlyList<LayerEntry> Entries, bool IsReused);

/// <summary>
/// Brings the layers of one conversion to the destination, each once. For a layer, the first of these that works:
/// 1. This machine's cache knows the converted layer and the destination has it, or can mount it from a repository that does.
/// 2. The destination's tag has a layer that was made from this one: it is read to learn what is in it.
/// 3. The layer is eStargz already: it is mounted from the source repository or copied.
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

    private readonly ConcurrentDictionary<Digest, LayerOutcome> _done = new();

    /// <summary>The outcomes in the order of <paramref name="layers"/>. The first failure stops the others.</summary>
    /// <param name="layers">Of one manifest.</param>
    /// <param name="diffIds">What the configuration says of them.</param>
    /// <param name="cancellationToken">Stops all.</param>
    public async Task<IReadOnlyList<LayerOutcome>> ConvertAsync(IReadOnlyList<Descriptor> layers, IReadOnlyList<Digest> diffIds, CancellationToken cancellationToken)
    {
        IEnumerable<(Descriptor Layer, Digest DiffId)> missing = layers.Zip(diffIds).DistinctBy(l => l.First.Digest).Where(l => !_done.ContainsKey(l.First.Digest));
        await Parallel.ForEachAsync(missing, new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken }, async (item, token) =>
            _done[item.Layer.Digest] = await ConvertAsync(item.Layer, item.DiffId, token));
        return [.. layers.Select(l => _done[l.Digest])];
    }

    private async Task<LayerOutcome> ConvertAsync(Descriptor layer, Digest diffId, CancellationToken cancellationToken)
    {
        LayerOutcome outcome = await TryCachedAsync(layer, diffId, cancellationToken) ?? await TryPreviousAsync(layer, diffId, cancellationToken) ?? await MakeAsync(layer, cancellationToken);
        Report(layer, outcome.IsReused ? ConvertStage.Reused : ConvertStage.Done, outcome.Info.Size, outcome.Info.Size);
        return outcome;
    }

    private async Task<LayerOutcome?> TryCachedAsync(Descriptor layer, Digest diffId, CancellationToken cancellationToken)
    {
        CachedConversion? cached = await cache.TryGetAsync(layer.Digest, cancellationToken);
        bool announcesEStargz = layer.Annotations.ContainsKey(StarlightAnnotations.TocDigest);
        // without its annotation an eStargz layer is converted like any other: the result must not depend on what this machine has seen before
        if (cached is null || cached.Layer.SourceDiffId != diffId || (cached.Layer.IsUnchanged && !announcesEStargz))
        {
            return null;
        }

        IEnumerable<string> repositories = cached.Layer.IsUnchanged ? cached.Repositories.Concat(SourceRepository()) : cached.Repositories;
        if (!await TryPlaceAsync(BlobOf(cached.Layer), repositories, cancellationToken))
        {
            return null;
        }

        await RememberAsync(layer, cached, cancellationToken);
        return new LayerOutcome(cached.Layer, cached.Entries, IsReused: true);
    }

    private async Task<LayerOutcome?> TryPreviousAsync(Descriptor layer, Digest diffId, CancellationToken cancellationToken)
    {
        if (!previous.TryGetValue(layer.Digest, out Descriptor? converted) || !await destination.HasBlobAsync(converted, cancellationToken))
        {
            return null;
        }

        await using IImageSource there = transports.OpenSource(command.Destination, new RegistryAccess(command.InsecureDestination));
        await using Stream blob = await there.OpenBlobAsync(converted, cancellationToken);
        using ConvertedLayer? found = await converter.TryRecogniseAsync(blob, converted, cancellationToken);
        if (found is null)
        {
            return null;
        }

        ConvertedLayerInfo info = found.Info with { SourceDiffId = diffId, IsUnchanged = false };
        await RememberAsync(layer, new CachedConversion(info, found.Entries, []), cancellationToken);
        return new LayerOutcome(info, found.Entries, IsReused: true);
    }

    private async Task<LayerOutcome> MakeAsync(Descriptor layer, CancellationToken cancellationToken)
    {
        await using Stream blob = await source.OpenBlobAsync(layer, cancellationToken);
        using ConvertedLayer converted = await converter.ConvertAsync(blob, layer, Count(layer, ConvertStage.Converting, layer.Size), cancellationToken);
        Descriptor descriptor = BlobOf(converted.Info);
        bool isPlaced = await TryPlaceAsync(descriptor, converted.Info.IsUnchanged ? SourceRepository() : [], cancellationToken);
        if (!isPlaced)
        {
            await destination.PushBlobAsync(
                descriptor, _ => Task.FromResult(converted.Open()), Count(layer, ConvertStage.Pushing, descriptor.Size), cancellationToken);
        }

        await RememberAsync(layer, new CachedConversion(converted.Info, converted.Entries, []), cancellationToken);
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

    private Task RememberAsync(Descriptor layer, CachedConversion conversion, CancellationToken cancellationToken)
    {
        string here = command.Destination.Name;
        string[] repositories = [.. conversion.Repositories.Where(r => r != here).TakeLast(MaxRepositories - 1), here];
        return conversion.Repositories.SequenceEqual(repositories)
            ? Task.CompletedTask
            : cache.StoreAsync(layer.Digest, conversion with { Repositories = repositories }, cancellationToken);
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
