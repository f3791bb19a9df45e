using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Persistence;

// One class per table of SchemaMigrations.cs, nothing more: the rules live in Domain/Catalog.

internal sealed class LayerRow
{
    public required Digest Digest { get; init; }

    public required Digest DiffId { get; init; }

    public required long Size { get; init; }

    public required long UncompressedSize { get; init; }

    public required bool IsEStargz { get; init; }

    /// <summary>Layer index, one zstd frame; empty if it is in parts.</summary>
    public required byte[] Index { get; init; }

    /// <summary>Where the blob has each content, one zstd frame; null if that is not known, empty if it is in parts.</summary>
    public required byte[]? Members { get; init; }

    public required DateTimeOffset IndexedAt { get; init; }
}

internal sealed class ImageRow
{
    public required Digest Digest { get; init; }

    public required string Platform { get; init; }

    public required string MediaType { get; init; }

    public required byte[] Manifest { get; init; }

    public required byte[] Config { get; init; }

    public required Digest FilesystemDigest { get; init; }

    /// <summary>Compressed already by its own format; empty if it is in parts.</summary>
    public required byte[] Unit { get; init; }

    /// <summary>Little-endian 32-bit indexes, one zstd frame.</summary>
    public required byte[] Order { get; init; }

    public required int HotCount { get; init; }

    public required int FileCount { get; init; }

    public required long ContentBytes { get; init; }

    public required DateTimeOffset IndexedAt { get; init; }

    /// <summary>When somebody wanted it last, or a tag stood for it, to an hour or so.</summary>
    public required DateTimeOffset UsedAt { get; set; }

    /// <summary>How many traces were ever stored for it.</summary>
    public long TraceRevision { get; init; }

    public List<ImageLayerRow> Layers { get; init; } = [];
}

internal sealed class ImageLayerRow
{
    public required Digest Image { get; init; }

    /// <summary>0 is the base layer.</summary>
    public required int Position { get; init; }

    public required Digest Layer { get; init; }
}

internal sealed class ImageOriginRow
{
    public required Digest Image { get; init; }

    public required string Registry { get; init; }

    public required string Repository { get; init; }

    public required bool Insecure { get; set; }

    /// <summary>It was notified by digest: it stays without a tag.</summary>
    public required bool IsRoot { get; set; }

    public required DateTimeOffset NotifiedAt { get; set; }
}

internal sealed class LayerOriginRow
{
    public required Digest Layer { get; init; }

    public required string Registry { get; init; }

    public required string Repository { get; init; }
}

internal sealed class IndexRow
{
    public required Digest Digest { get; init; }

    public required string MediaType { get; init; }

    public required byte[] Raw { get; init; }
}

internal sealed class IndexImageRow
{
    public required Digest Index { get; init; }

    public required string Platform { get; init; }

    public required Digest Image { get; init; }
}

internal sealed class TagRow
{
    public required string Registry { get; init; }

    public required string Repository { get; init; }

    public required string Tag { get; init; }

    public required string Platform { get; init; }

    public required Digest Image { get; set; }

    /// <summary>The index that the tag stood for; null for a single manifest.</summary>
    public required Digest? Index { get; set; }

    public required DateTimeOffset NotifiedAt { get; set; }
}
