using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.Trees;

namespace Starlight.Application.Abstractions.Images;

/// <summary>A layer as eStargz.</summary>
/// <param name="Digest">sha256 of the blob.</param>
/// <param name="Size">Length of the blob in bytes.</param>
/// <param name="DiffId">sha256 of its uncompressed tar.</param>
/// <param name="TocDigest">sha256 of its TOC's JSON.</param>
/// <param name="UncompressedSize">Length of its uncompressed tar in bytes.</param>
/// <param name="SourceDiffId">sha256 of the uncompressed tar that it was made from.</param>
/// <param name="IsUnchanged">The source was a valid eStargz layer already: blob and diff ID are the source's.</param>
public sealed record ConvertedLayerInfo(Digest Digest, long Size, Digest DiffId, Digest TocDigest, long UncompressedSize, Digest SourceDiffId, bool IsUnchanged);

/// <summary>A converted layer and its blob, which lives in a temporary file until this is disposed.</summary>
public sealed class ConvertedLayer(ConvertedLayerInfo info, IReadOnlyList<LayerEntry> entries, Func<Stream> open, IDisposable file) : IDisposable
{
    public ConvertedLayerInfo Info { get; } = info;

    /// <summary>In tar order, without what belongs to the format.</summary>
    public IReadOnlyList<LayerEntry> Entries { get; } = entries;

    /// <summary>The blob from its beginning; any number of times, also at once.</summary>
    public Stream Open() => open();

    public void Dispose() => file.Dispose();
}

/// <summary>Rewrites layers as eStargz. Deterministic: the same layer gives the same blob. Bounded memory. Safe for concurrent use.</summary>
public interface ILayerConverter
{
    /// <summary>
    /// Converts a layer of any legal kind. One whose descriptor carries the TOC digest annotation and which turns out to be valid eStargz comes back unchanged.
    /// </summary>
    /// <param name="blob">From its beginning; read to its end.</param>
    /// <param name="source">Its descriptor.</param>
    /// <param name="files">
    /// Come first, in their order, before a prefetch landmark; everything else follows as it was. What the layer means does not change. Also a valid eStargz layer is rewritten unless it has just this order.
    /// Null to leave the order alone; none of them in the layer is the same, but for a layer that is eStargz and has another order.
    /// </param>
    /// <param name="progress">Receives bytes of <paramref name="blob"/> dealt with since the last call.</param>
    /// <param name="cancellationToken">Removes what was written.</param>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">DataCorrupt if the bytes are not a layer.</exception>
    Task<ConvertedLayer> ConvertAsync(Stream blob, Descriptor source, PrioritizedFiles? files, IProgress<long>? progress, CancellationToken cancellationToken);

    /// <summary>Reads a layer that should be eStargz: null if it is not, or not the one its annotation announces, or if other entries come first than <paramref name="files"/> want.</summary>
    /// <param name="blob">From its beginning; read to its end.</param>
    /// <param name="descriptor">Its descriptor.</param>
    /// <param name="files">As for <see cref="ConvertAsync"/>; null if none must come first.</param>
    /// <param name="cancellationToken">Removes what was written.</param>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">DataCorrupt if the bytes are not even a layer.</exception>
    Task<ConvertedLayer?> TryRecogniseAsync(Stream blob, Descriptor descriptor, PrioritizedFiles? files, CancellationToken cancellationToken);
}

/// <summary>Which conversion of a layer is meant.</summary>
/// <param name="Source">Digest of the layer it is made from.</param>
/// <param name="Files">Names the files that come first (<see cref="PrioritizedFiles.Digest"/> of those that are in the layer); null if none was asked for.</param>
public readonly record struct ConversionKey(Digest Source, Digest? Files = null);

/// <summary>What is known of an earlier conversion.</summary>
/// <param name="Repositories">Names (<c>registry/repository</c>) that hold the converted blob, the latest last.</param>
public sealed record CachedConversion(ConvertedLayerInfo Layer, IReadOnlyList<LayerEntry> Entries, IReadOnlyList<string> Repositories);

/// <summary>Remembers conversions on this machine. Never fails but by cancellation: what cannot be read or stored is as if it were not there.</summary>
public interface IConversionCache
{
    Task<CachedConversion?> TryGetAsync(ConversionKey key, CancellationToken cancellationToken);

    /// <summary>The entries of a layer of which any conversion is known, in any order; null if none is.</summary>
    Task<IReadOnlyList<LayerEntry>?> TryGetEntriesAsync(Digest source, CancellationToken cancellationToken);

    Task StoreAsync(ConversionKey key, CachedConversion conversion, CancellationToken cancellationToken);
}
