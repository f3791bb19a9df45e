using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Application.Abstractions.Images;

/// <summary>
/// Receives the contents of a layer's regular files as they stream by: for each non-empty file one Begin, Writes that add up to its size, one Complete.
/// Called by one thread at a time. A sink that keeps nothing is legal.
/// </summary>
public interface IContentSink
{
    ValueTask BeginAsync(long size, CancellationToken cancellationToken);

    ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <param name="digest">sha256 of what was written since Begin.</param>
    ValueTask CompleteAsync(Digest digest, CancellationToken cancellationToken);
}

/// <summary>What a layer blob holds.</summary>
/// <param name="Entries">In tar order; the eStargz TOC and landmarks are left out of layers that really are eStargz.</param>
/// <param name="DiffId">sha256 of the uncompressed tar, all of it.</param>
/// <param name="UncompressedSize">Length of the uncompressed tar in bytes.</param>
/// <param name="IsEStargz">The blob ends in a valid eStargz footer with a TOC.</param>
public sealed record LayerScan(IReadOnlyList<LayerEntry> Entries, Digest DiffId, long UncompressedSize, bool IsEStargz)
{
    /// <summary>Where the blob has each content, for <see cref="ILayerContents"/>; empty if its contents cannot be read one by one.</summary>
    public ReadOnlyMemory<byte> Members { get; init; }
}

/// <summary>Reads layer blobs of every legal kind (tar; gzip incl. many members; zstd incl. many frames) in one pass and bounded memory.</summary>
public interface ILayerScanner
{
    /// <param name="blob">The compressed blob from its beginning; read to its end.</param>
    /// <param name="mediaType">As the descriptor says; the actual compression is detected from the bytes, since media types lie.</param>
    /// <param name="sink">Where contents go; null to hash them only.</param>
    /// <param name="cancellationToken">Stops between reads.</param>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">DataCorrupt if the bytes are not a layer.</exception>
    Task<LayerScan> ScanAsync(Stream blob, string mediaType, IContentSink? sink, CancellationToken cancellationToken);

    /// <summary>Compact binary form of a layer's entries for storage (docs/formats/layer-index.md), in pieces that follow each other.</summary>
    IReadOnlyList<ReadOnlyMemory<byte>> EncodeIndex(IReadOnlyList<LayerEntry> entries);

    /// <summary>The entries are made anew from <paramref name="index"/> whenever they are asked for.</summary>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">DataCorrupt.</exception>
    IReadOnlyList<LayerEntry> DecodeIndex(ReadOnlyMemory<byte> index);
}
