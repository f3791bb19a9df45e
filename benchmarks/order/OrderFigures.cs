using System.Globalization;

namespace Starlight.Benchmarks.Order;

/// <summary>One first open of the start-up that is judged by.</summary>
/// <param name="At">Seconds since the container was mounted, on a worker where everything is.</param>
internal readonly record struct Opening(string Digest, long Size, double At);

/// <summary>How good one order was for one start-up.</summary>
/// <param name="Hot">Share of the opened bytes that are in the order's hot part, which arrives before everything else.</param>
/// <param name="HotSize">Length of the hot part, as a multiple of the opened bytes.</param>
/// <param name="Prefix">Share of the opened bytes among as many bytes at the beginning of the stream as the start-up opens: 1 is an order without a byte that nobody wanted yet.</param>
/// <param name="BeforeStall">Share of the opened bytes that have arrived, and are being used, before the first stall: see <see cref="Of"/>.</param>
/// <param name="Late">How much longer the start-up takes than in the best order, as a share of what it takes in that.</param>
/// <param name="StalledAt">The content whose open was the first stall; null if there was none.</param>
internal sealed record OrderFigures(double Hot, double HotSize, double Prefix, double BeforeStall, double Late, string? StalledAt)
{
    /// <summary>Bits per second: of the line on which stalls are looked for.</summary>
    public const double Line = 100e6;

    /// <summary>A wait that nobody notices, and the daemon does not take for the order's fault either (512 KiB on this line): seconds.</summary>
    private const double Unnoticed = 0.04;

    /// <summary>Starts differ a little from one to the next, and the daemon takes so much for no fault: of the time since the start.</summary>
    private const double Tolerated = 0.1;

    /// <summary>
    /// A container is started when the stream begins. Each open comes as long after the one before as in <paramref name="opens"/>, then waits until its content has come over the line of
    /// <see cref="Line"/>. On such a line every order makes nearly every open wait; so what is counted is what another order would have spared. The best is that of the opens itself. The first
    /// stall is the first open that is answered more than <see cref="Unnoticed"/> and <see cref="Tolerated"/> of its time later than in the best order; before it come the opened bytes of all opens that were answered
    /// sooner.
    /// </summary>
    /// <param name="order">The stream. Contents count with their length; what compression makes of it is the same for all orders.</param>
    /// <param name="hot">How many contents are expected to be opened. Path order has none.</param>
    /// <param name="opens">In the order of time.</param>
    public static OrderFigures Of(IReadOnlyList<(string Digest, long Size)> order, int hot, IReadOnlyList<Opening> opens)
    {
        HashSet<string> opened = [.. opens.Select(o => o.Digest)];
        long all = opens.Sum(o => o.Size);
        long length = 0;
        long prefix = 0;
        Dictionary<string, long> ends = new(StringComparer.Ordinal);
        foreach ((string digest, long size) in order)
        {
            prefix += length < all && opened.Contains(digest) ? size : 0;
            length += size;
            ends.Add(digest, length);
        }

        long hotOpened = order.Take(hot).Where(c => opened.Contains(c.Digest)).Sum(c => c.Size);
        (double stall, double late, string? at) = Play(opens, ends, all);
        return new OrderFigures((double)hotOpened / all, (double)order.Take(hot).Sum(c => c.Size) / all, (double)prefix / all, stall, late, at);
    }

    private static (double BeforeStall, double Late, string? StalledAt) Play(IReadOnlyList<Opening> opens, Dictionary<string, long> ends, long all)
    {
        const double BytesPerSecond = Line / 8;
        double before = 0; // when the last open comes on a worker where everything is
        double here = 0; // when the last open was answered
        double best = 0; // the same in the best order
        long sent = 0; // by the best order
        long untilStall = all;
        string? stalledAt = null;
        foreach (Opening open in opens)
        {
            double pause = open.At - before;
            before = open.At;
            here = Math.Max(here + pause, ends[open.Digest] / BytesPerSecond);
            best = Math.Max(best + pause, (sent + open.Size) / BytesPerSecond);
            if (stalledAt is null && here - best > Unnoticed + (Tolerated * best))
            {
                (stalledAt, untilStall) = (open.Digest, sent);
            }

            sent += open.Size;
        }

        return ((double)untilStall / all, (here - best) / best, stalledAt);
    }
}
