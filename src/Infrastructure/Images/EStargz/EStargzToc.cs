using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>A stored piece of a file.</summary>
/// <param name="Offset">Where the gzip member that holds it begins in the blob.</param>
/// <param name="End">Where the next member that holds a payload begins: reading [Offset, End) is enough.</param>
/// <param name="InnerOffset">Uncompressed bytes of that member before the piece; 0 unless members are shared.</param>
/// <param name="Position">Where the piece belongs in the file.</param>
/// <param name="Length">Uncompressed bytes.</param>
/// <param name="Digest">sha256 of the uncompressed piece.</param>
internal readonly record struct EStargzChunk(long Offset, long End, long InnerOffset, long Position, long Length, Digest Digest);

/// <summary>An entry of a TOC.</summary>
/// <param name="Entry">Its content digest is default if the TOC has none for the whole of a chunked file.</param>
/// <param name="Chunks">Pieces of a non-empty regular file in ascending order, without gaps.</param>
internal sealed record EStargzFile(LayerEntry Entry, IReadOnlyList<EStargzChunk> Chunks);

/// <summary>What an eStargz blob says about itself.</summary>
/// <param name="Offset">Where the TOC's gzip member begins.</param>
/// <param name="Digest">sha256 of the TOC's JSON: what the layer's annotation must say.</param>
/// <param name="Files">In the TOC's order, without landmarks.</param>
/// <param name="Prioritized">How many entries stand before the prefetch landmark, 0 if there is the other one; null if there is none, which the format does not allow.</param>
/// <param name="NamesAreExact">False if a name or target has U+FFFD: JSON cannot carry names that are not UTF-8, so the real ones are only in the tar headers.</param>
internal sealed record EStargzToc(long Offset, Digest Digest, IReadOnlyList<EStargzFile> Files, int? Prioritized, bool NamesAreExact);
