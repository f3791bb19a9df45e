using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;

namespace Starlight.Application.Abstractions.Images;

/// <summary>A piece of a content inside a layer blob.</summary>
/// <param name="Offset">Where the compressed member that holds it begins in the blob.</param>
/// <param name="End">Reading [Offset, End) is enough.</param>
/// <param name="InnerOffset">Uncompressed bytes of the member before the piece.</param>
/// <param name="Length">Uncompressed bytes of the piece.</param>
public readonly record struct ContentPiece(long Offset, long End, long InnerOffset, long Length);

/// <summary>A content of a layer.</summary>
/// <param name="Pieces">In the order of the content; empty if the blob has to be scanned for it.</param>
public sealed record LocatedContent(ContentRef Content, IReadOnlyList<ContentPiece> Pieces);

/// <summary>Opens [offset, offset + length) of a blob.</summary>
public delegate Task<Stream> OpenBlobRange(long offset, long length, CancellationToken cancellationToken);

/// <summary>Finds single contents in layers that are indexed, and reads them without reading the rest. Stateless and safe for concurrent use.</summary>
public interface ILayerContents
{
    /// <summary>Those of <paramref name="wanted"/> that the layer has, each once.</summary>
    IReadOnlyList<LocatedContent> Locate(LayerIndex layer, IReadOnlySet<Digest> wanted);

    /// <summary>Reads contents that have pieces into <paramref name="sink"/>, in the order of the blob, neighbours in one range. The sink checks the digests.</summary>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">DataCorrupt if a piece is not where it was said to be.</exception>
    Task ReadAsync(OpenBlobRange open, IReadOnlyList<LocatedContent> contents, IContentSink sink, CancellationToken cancellationToken);
}
