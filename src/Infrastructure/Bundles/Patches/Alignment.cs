namespace Starlight.Infrastructure.Bundles.Patches;

/// <summary>A run of new bytes: first <paramref name="Copy"/> bytes that resemble the old ones from <paramref name="Base"/> on, then <paramref name="Literal"/> bytes that resemble nothing.</summary>
internal readonly record struct Instruction(int Copy, int Literal, long Base);

/// <summary>
/// Lays new bytes beside old ones. Where code moved, most bytes are equal and addresses in between differ by small amounts: so an alignment is kept through differences as long as at
/// least half of the bytes agree, and what differs is told byte by byte (the idea of C. Percival, "Naive differences of executable code", 2003). Greedy and deterministic, time
/// proportional to the new bytes; not the best alignment there is.
/// </summary>
internal static class Alignment
{
    /// <summary>A match elsewhere must have so many equal bytes more than going on as before: about what an instruction costs.</summary>
    private const int SwitchGain = 8;

    /// <summary>Equal bytes after which a position is not searched any more: going on as before is right.</summary>
    private const int LongRun = 32;

    /// <summary>A longer match is long enough for every comparison here.</summary>
    private const int MaxSeedMatch = 1024;

    /// <param name="fresh">The new bytes.</param>
    /// <param name="old">Where the index looks.</param>
    /// <param name="start">Position in the index's content that the first new byte is likely to resemble.</param>
    /// <param name="result">Appended to; the instructions cover the new bytes exactly. Bases are positions in the index's content.</param>
    public static void Find(ReadOnlySpan<byte> fresh, BaseIndex old, long start, List<Instruction> result)
    {
        ReadOnlySpan<byte> content = old.Content.Span;
        long delta = start; // old position − new position
        int done = 0; // everything before is in instructions
        int sure = 0; // the current alignment holds up to here at least
        int at = 0;
        while (at < fresh.Length)
        {
            int run = Run(fresh[at..], content, at + delta, int.MaxValue);
            if (run >= LongRun)
            {
                at += run;
                sure = at;
                continue;
            }

            if (fresh.Length - at < BaseIndex.SeedLength)
            {
                break;
            }

            int candidate = old.Find(fresh[at..]);
            if (candidate >= 0 && candidate != at + delta)
            {
                int length = Run(fresh[at..], content, candidate, MaxSeedMatch);
                if (length >= BaseIndex.SeedLength && length > Equal(fresh.Slice(at, length), content, at + delta) + SwitchGain)
                {
                    (int forward, int backward) = Boundary(fresh, content, sure, at, delta, candidate - at);
                    Add(result, done, forward, backward, delta);
                    delta = candidate - at;
                    done = backward;
                    at += length;
                    sure = at;
                    continue;
                }
            }

            at++;
        }

        int end = Forward(fresh, content, sure, fresh.Length, delta);
        Add(result, done, end, fresh.Length, delta);
    }

    private static void Add(List<Instruction> result, int from, int copyEnd, int literalEnd, long delta)
    {
        if (literalEnd > from)
        {
            result.Add(new Instruction(copyEnd - from, literalEnd - copyEnd, copyEnd > from ? from + delta : 0));
        }
    }

    /// <summary>How many bytes agree before the first that does not.</summary>
    private static int Run(ReadOnlySpan<byte> fresh, ReadOnlySpan<byte> content, long position, int max)
    {
        if (position < 0 || position >= content.Length)
        {
            return 0;
        }

        ReadOnlySpan<byte> old = content[(int)position..];
        int length = Math.Min(Math.Min(old.Length, fresh.Length), max);
        return fresh[..length].CommonPrefixLength(old);
    }

    private static int Equal(ReadOnlySpan<byte> fresh, ReadOnlySpan<byte> content, long position)
    {
        int count = 0;
        for (int i = 0; i < fresh.Length; i++)
        {
            long p = position + i;
            count += p >= 0 && p < content.Length && content[(int)p] == fresh[i] ? 1 : 0;
        }

        return count;
    }

    /// <summary>Between <paramref name="from"/> and <paramref name="to"/>: where the old alignment ends and where the new one begins.</summary>
    private static (int Forward, int Backward) Boundary(ReadOnlySpan<byte> fresh, ReadOnlySpan<byte> content, int from, int to, long before, long after)
    {
        int forward = Forward(fresh, content, from, to, before);
        int backward = Backward(fresh, content, from, to, after);
        if (backward >= forward)
        {
            return (forward, backward);
        }

        // Both claim [backward, forward): it is cut where most bytes agree in all.
        int best = 0;
        int score = 0;
        int split = backward;
        for (int i = backward; i < forward; i++)
        {
            score += Same(fresh, content, i, before) - Same(fresh, content, i, after);
            if (score > best)
            {
                (best, split) = (score, i + 1);
            }
        }

        return (split, split);
    }

    /// <summary>How far an alignment is worth going on from <paramref name="from"/>: the longest stretch of which most bytes agree.</summary>
    private static int Forward(ReadOnlySpan<byte> fresh, ReadOnlySpan<byte> content, int from, int to, long delta)
    {
        int best = 0;
        int score = 0;
        int end = from;
        for (int i = from; i < to && i + delta < content.Length; i++)
        {
            score += (2 * Same(fresh, content, i, delta)) - 1;
            if (score > best)
            {
                (best, end) = (score, i + 1);
            }
        }

        return end;
    }

    private static int Backward(ReadOnlySpan<byte> fresh, ReadOnlySpan<byte> content, int from, int to, long delta)
    {
        int best = 0;
        int score = 0;
        int begin = to;
        for (int i = to - 1; i >= from && i + delta >= 0; i--)
        {
            score += (2 * Same(fresh, content, i, delta)) - 1;
            if (score > best)
            {
                (best, begin) = (score, i);
            }
        }

        return begin;
    }

    private static int Same(ReadOnlySpan<byte> fresh, ReadOnlySpan<byte> content, int at, long delta)
    {
        long position = at + delta;
        return position >= 0 && position < content.Length && content[(int)position] == fresh[at] ? 1 : 0;
    }
}
