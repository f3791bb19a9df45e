using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Catalog;

/// <summary>
/// An image that the proxy can deliver: one manifest for one platform, everything a worker needs but the contents themselves. Immutable;
/// its identity is the manifest's digest, which covers all of it.
/// </summary>
public sealed class IndexedImage
{
    public required Digest Digest { get; init; }

    public required Platform Platform { get; init; }

    public required string MediaType { get; init; }

    /// <summary>The manifest byte for byte as the registry served it.</summary>
    public required ReadOnlyMemory<byte> Manifest { get; init; }

    /// <summary>The configuration byte for byte as the registry served it.</summary>
    public required ReadOnlyMemory<byte> Config { get; init; }

    /// <summary>sha256 of the filesystem image: the merged tree without contents.</summary>
    public required Digest FilesystemDigest { get; init; }

    /// <summary>
    /// The image's part of a bundle header without a name (docs/formats/delta-bundle.md), encoded once because that takes longer than everything else before a
    /// bundle's first byte. The filesystem image is in it and nowhere else; who reads it checks its digest.
    /// </summary>
    public required ReadOnlyMemory<byte> Unit { get; init; }

    /// <summary>Blob digests, base first. One blob may occur more than once.</summary>
    public required IReadOnlyList<Digest> Layers { get; init; }

    /// <summary>
    /// The order in which contents are sent as long as nothing is known of how containers of this image start: indexes into the canonical content list, each exactly once.
    /// </summary>
    public required IReadOnlyList<int> Order { get; init; }

    /// <summary>The first so many of <see cref="Order"/> are expected to be opened while a container starts.</summary>
    public required int HotCount { get; init; }

    /// <summary>Names of the tree that are not directories.</summary>
    public required int FileCount { get; init; }

    /// <summary>Total length of the distinct contents in bytes.</summary>
    public required long ContentBytes { get; init; }

    public required DateTimeOffset IndexedAt { get; init; }

    /// <summary>The order that traces have taught; null if there are none. The only part of an image that changes.</summary>
    public IndexedOrder? Learned { get; init; }

    /// <summary>Distinct non-empty contents.</summary>
    public int ContentCount => Order.Count;

    /// <summary>What must hold before an image may be stored. A violation is a bug of the indexer or damaged storage.</summary>
    /// <exception cref="FailureException">DataCorrupt <c>Image.Inconsistent</c>.</exception>
    public IndexedImage Verified()
    {
        Check(Content.Digest.Of(Manifest.Span) == Digest, "its manifest does not have the digest it is stored under");
        CheckOrder(Order, HotCount);
        if (Learned is { } learned)
        {
            Check(learned.Order.Count == Order.Count && learned.Moments.Count == learned.HotCount, "its learned order is not one of its contents");
            CheckOrder(learned.Order, learned.HotCount);
        }

        return this;
    }

    /// <summary>Says that what is stored of this image cannot be used.</summary>
    /// <param name="why">A clause.</param>
    public Error Damaged(string why) =>
        new("Image.Inconsistent", $"the stored image {Digest} is damaged: {why}; remove it with 'starlight-proxy delete {Digest}' and notify it again", ErrorKind.DataCorrupt);

    private void CheckOrder(IReadOnlyList<int> order, int hotCount)
    {
        Check(hotCount >= 0 && hotCount <= order.Count, "it has more hot contents than contents");
        bool[] seen = new bool[order.Count];
        foreach (int index in order)
        {
            Check(index >= 0 && index < seen.Length && !seen[index], "its order is not a permutation of its contents");
            seen[index] = true;
        }
    }

    private void Check(bool holds, string why)
    {
        if (!holds)
        {
            throw new FailureException(Damaged(why));
        }
    }
}
