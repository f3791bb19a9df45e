using Starlight.Domain.Content;

namespace Starlight.Domain.Catalog;

/// <summary>An image as the collector sees it.</summary>
/// <param name="UsedAt">When it was notified or somebody wanted it last.</param>
/// <param name="IsRoot">It was notified by digest: it needs no tag to stay.</param>
public sealed record CollectableImage(Digest Image, DateTimeOffset UsedAt, bool IsRoot);

/// <summary>Who names whom in a catalog, and what nobody can ask for any more.</summary>
/// <param name="Images">Every image.</param>
/// <param name="TaggedImages">Images that a tag stands for.</param>
/// <param name="TaggedIndexes">Indexes that a tag stands for.</param>
/// <param name="IndexMembers">Which images which index lists; every index that lists any.</param>
public sealed record CatalogGraph(
    IReadOnlyList<CollectableImage> Images,
    IReadOnlySet<Digest> TaggedImages,
    IReadOnlySet<Digest> TaggedIndexes,
    IReadOnlyList<(Digest Index, Digest Image)> IndexMembers)
{
    /// <summary>
    /// Images that no tag names, neither itself nor through an index, that were not notified by digest and that nobody has wanted since <paramref name="unusedSince"/>. Until
    /// then they stay, although only who knows the digest can ask: a pull may be running, and workers that have the image get updates as what differs from it.
    /// </summary>
    public IReadOnlyList<Digest> Unreachable(DateTimeOffset unusedSince)
    {
        HashSet<Digest> named = [.. TaggedImages, .. IndexMembers.Where(m => TaggedIndexes.Contains(m.Index)).Select(m => m.Image)];
        return [.. Images.Where(i => !i.IsRoot && i.UsedAt < unusedSince && !named.Contains(i.Image)).Select(i => i.Image)];
    }
}
