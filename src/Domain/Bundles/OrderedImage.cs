using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>An image that is wanted, as the planner sees it.</summary>
/// <param name="Contents">Every distinct non-empty content in the canonical order of the image's filesystem image. Positions in this list are what a bundle names contents by.</param>
/// <param name="Order">
/// Which contents to send first, as positions in <paramref name="Contents"/>; contents that are not named follow in canonical order.
/// </param>
/// <param name="HotCount">How many of the first entries of <paramref name="Order"/> a starting container is expected to open.</param>
public sealed record OrderedImage(IReadOnlyList<ContentRef> Contents, IReadOnlyList<int> Order, int HotCount = 0)
{
    /// <summary>
    /// For each of these when it is opened, in microseconds from a moment that all wanted images have in common; null if that is not known. Where it is known of all of them, their hot contents
    /// are sent in the order of time.
    /// </summary>
    public IReadOnlyList<long>? Moments { get; init; }
}
