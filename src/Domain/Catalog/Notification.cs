using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Domain.Catalog;

/// <summary>An index as the registry served it.</summary>
public sealed record IndexedIndex(Digest Digest, string MediaType, ReadOnlyMemory<byte> Raw);

/// <summary>The image a reference stands for on one platform.</summary>
public sealed record PlatformImage(Platform Platform, Digest Manifest);

/// <summary>
/// All that one notify teaches the proxy; stored in one transaction or not at all. Layers and images that are known already need not be
/// repeated, though doing so is harmless.
/// </summary>
/// <param name="Reference">The name that was notified. Its tag, if it has one, stands for <paramref name="Images"/> from now on.</param>
/// <param name="Index">The index the name stood for; null for a single manifest.</param>
/// <param name="Images">One entry per platform notified.</param>
/// <param name="NewImages">Images read by this notify.</param>
/// <param name="NewLayers">Layers read by this notify.</param>
public sealed record Notification(
    ImageReference Reference,
    IndexedIndex? Index,
    IReadOnlyList<PlatformImage> Images,
    IReadOnlyList<IndexedImage> NewImages,
    IReadOnlyList<IndexedLayer> NewLayers)
{
    /// <summary>See <see cref="ImageOrigin.Insecure"/>.</summary>
    public bool Insecure { get; init; }
}
