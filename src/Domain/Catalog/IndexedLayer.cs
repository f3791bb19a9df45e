using Starlight.Domain.Content;

namespace Starlight.Domain.Catalog;

/// <summary>
/// A layer that the proxy has read. It belongs to no image: every image that lists the blob shares it, so registering another image
/// never touches what is known about a layer.
/// </summary>
/// <param name="Digest">sha256 of the blob as the registry stores it: the layer's identity.</param>
/// <param name="DiffId">sha256 of the uncompressed tar.</param>
/// <param name="Size">Length of the blob in bytes.</param>
/// <param name="UncompressedSize">Length of the uncompressed tar in bytes.</param>
/// <param name="IsEStargz">The blob ends in a valid eStargz footer, so single files of it can be read by range.</param>
/// <param name="Index">Entries in their binary form (docs/formats/layer-index.md); empty for a layer of so many that only the catalog has them.</param>
public sealed record IndexedLayer(Digest Digest, Digest DiffId, long Size, long UncompressedSize, bool IsEStargz, ReadOnlyMemory<byte> Index)
{
    /// <summary>Where the blob has each content (docs/formats/layer-members.md); empty if only a scan of the whole blob can tell, and for a large layer.</summary>
    public ReadOnlyMemory<byte> Members { get; init; }

    /// <summary>Entries and members are to be read from the catalog whenever they are needed.</summary>
    public bool IsLarge => Index.IsEmpty;
}
