namespace Starlight.Domain.Content;

/// <summary>
/// Decides which contents a full store gives up: the least recently used first, whatever their size, and no more than needed. Works on times of use instead of on
/// contents, so that a store of millions of them is judged without sorting or copying them: add every content that may go, then ask for the cutoff.
/// </summary>
public sealed class UseHistogram
{
    private readonly SortedDictionary<long, long> _bytes = [];

    /// <param name="lastUsed">When the content was used last, in any unit that grows with time.</param>
    /// <param name="bytes">What removing it would free.</param>
    public void Add(long lastUsed, long bytes) => _bytes[lastUsed] = _bytes.GetValueOrDefault(lastUsed) + bytes;

    /// <summary>
    /// The time to evict up to: everything used before <c>LastUsed</c> goes, and of what was used exactly then so much that <c>Bytes</c> are freed of it. If all that was
    /// added is not enough, all of it goes.
    /// </summary>
    /// <param name="wanted">Bytes to free.</param>
    public (long LastUsed, long Bytes) CutoffFor(long wanted)
    {
        if (wanted <= 0)
        {
            return (long.MinValue, 0);
        }

        foreach ((long lastUsed, long bytes) in _bytes)
        {
            if (bytes >= wanted)
            {
                return (lastUsed, wanted);
            }

            wanted -= bytes;
        }

        return (long.MaxValue, 0);
    }
}
