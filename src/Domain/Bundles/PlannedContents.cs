using System.Collections;
using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>Contents in stream order: 4 bytes for each, 5 if there are several images, where a list of <see cref="PlannedContent"/> takes 48. Immutable.</summary>
/// <param name="images">The wanted images' canonical content lists.</param>
/// <param name="indexes">For each content, in stream order, its position in its image's list.</param>
/// <param name="owners">For each content its image; null if there is one.</param>
internal sealed class PlannedContents(IReadOnlyList<IReadOnlyList<ContentRef>> images, int[] indexes, byte[]? owners) : IReadOnlyList<PlannedContent>
{
    /// <summary>What can be numbered; a bundle brings fewer.</summary>
    public const int MaxImages = byte.MaxValue + 1;

    public IReadOnlyList<IReadOnlyList<ContentRef>> Images => images;

    public int Count => indexes.Length;

    public PlannedContent this[int position]
    {
        get
        {
            int index = indexes[position];
            int image = owners is null ? 0 : owners[position];
            return new PlannedContent(images[image][index], image, index);
        }
    }

    public IEnumerator<PlannedContent> GetEnumerator()
    {
        for (int position = 0; position < indexes.Length; position++)
        {
            yield return this[position];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
