using System.Globalization;

namespace Starlight.Benchmarks.Order;

/// <summary>How good one order was for one start-up.</summary>
/// <param name="Hot">Share of the opened bytes that are in the order's hot part, which arrives before everything else.</param>
/// <param name="HotSize">Length of the hot part, as a multiple of the opened bytes.</param>
/// <param name="Prefix">Share of the opened bytes among as many bytes at the beginning of the stream as the start-up opens: 1 is an order without a byte that nobody wanted yet.</param>
internal sealed record OrderFigures(double Hot, double HotSize, double Prefix)
{
    /// <summary>Path order has no hot part.</summary>
    public static OrderFigures Of(IReadOnlyList<(string Digest, long Size)> order, int hot, IReadOnlySet<string> opened)
    {
        long all = order.Where(c => opened.Contains(c.Digest)).Sum(c => c.Size);
        long prefix = 0;
        long found = 0;
        foreach ((string digest, long size) in order)
        {
            if (prefix >= all)
            {
                break;
            }

            prefix += size;
            found += opened.Contains(digest) ? size : 0;
        }

        return new OrderFigures((double)order.Take(hot).Where(c => opened.Contains(c.Digest)).Sum(c => c.Size) / all, (double)order.Take(hot).Sum(c => c.Size) / all, (double)found / all);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{100 * Hot,6:0.0} {HotSize,5:0.00} {100 * Prefix,6:0.0}");
}

/// <param name="Opened">Contents that the start-up opened.</param>
/// <param name="OpenedBytes">Their length.</param>
/// <param name="Untraced">Seconds from the container's creation until it answers.</param>
/// <param name="Traced">The same while it is traced.</param>
internal sealed record StartFigures(
    string App, int Opened, long OpenedBytes, long ImageBytes, OrderFigures Path, OrderFigures Predicted, OrderFigures Inherited, OrderFigures Own, double Untraced, double Traced)
{
    public static string Heading =>
        "share of the opened bytes in the hot part (%), its size (x opened), share within as many bytes of the stream (%)\n"
        + $"{"app",-10} {"opened",6} {"MB",6} {"of MB",6} | {"path",20} | {"predicted",20} | {"inherited",20} | {"own trace",20} | start s, traced";

    public static StartFigures Average(IReadOnlyList<StartFigures> all) => new(
        "average",
        (int)all.Average(f => f.Opened),
        (long)all.Average(f => f.OpenedBytes),
        (long)all.Average(f => f.ImageBytes),
        Average(all, f => f.Path),
        Average(all, f => f.Predicted),
        Average(all, f => f.Inherited),
        Average(all, f => f.Own),
        all.Average(f => f.Untraced),
        all.Average(f => f.Traced));

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{App,-10} {Opened,6} {OpenedBytes / 1e6,6:0.0} {ImageBytes / 1e6,6:0.0} | {Path} | {Predicted} | {Inherited} | {Own} | {Untraced:0.00} {Traced:0.00}");

    private static OrderFigures Average(IReadOnlyList<StartFigures> all, Func<StartFigures, OrderFigures> of) =>
        new(all.Average(f => of(f).Hot), all.Average(f => of(f).HotSize), all.Average(f => of(f).Prefix));
}
