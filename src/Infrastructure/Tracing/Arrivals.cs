using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Tracing;

/// <summary>How the contents of a container's image arrive: in which order, and whether they still do.</summary>
/// <param name="inOrder">Contents in the order of the stream.</param>
/// <param name="areOver">Whether all have arrived, or none will any more.</param>
internal sealed class Arrivals(IReadOnlyList<ContentRef> inOrder, Func<bool> areOver)
{
    /// <summary>What is opened comes in blocks with what is not: so many bytes of the latter before the last content that was opened are no fault of the order. 40 ms at 100 Mbit/s. Arbitrary.</summary>
    private const long Tolerated = 512 << 10;

    /// <summary>Or so much of what was opened: starts differ a little.</summary>
    private const double ToleratedShare = 0.1;

    public bool AreOver => areOver();

    /// <summary>
    /// Whether bytes that nobody opened came before bytes that somebody did: with a better order the container would have waited less. A container that waited although everything before was
    /// opened too waited for the line, which no order makes faster.
    /// </summary>
    public bool WasOrderToBlame(IReadOnlySet<Digest> opened)
    {
        (long useful, long useless, long uselessSoFar) = (0, 0, 0);
        foreach (ContentRef content in inOrder)
        {
            if (opened.Contains(content.Digest))
            {
                useful += content.Size;
                useless = uselessSoFar;
            }
            else
            {
                uselessSoFar += content.Size;
            }
        }

        return useless > Tolerated + (ToleratedShare * useful);
    }
}
