using System.Globalization;

namespace Starlight.Benchmarks.Order;

/// <summary>What it costs a start to be traced.</summary>
/// <param name="App">The application.</param>
/// <param name="Opens">Contents that a start opens, on average.</param>
/// <param name="Untraced">Seconds from the container's creation until it answers, one per pair.</param>
/// <param name="Traced">The same with the optimizer on; the pairs are those of <paramref name="Untraced"/>.</param>
internal sealed record TracingFigures(string App, int Opens, IReadOnlyList<double> Untraced, IReadOnlyList<double> Traced)
{
    private const int Resamples = 10_000;

    public static string Heading =>
        "start until it answers, ms: median (lower and upper quartile); ratio of the medians, with what 95 % of 10,000 resamplings of the pairs give\n"
        + $"{"app",-10} {"pairs",5} {"opens",5} | {"untraced",23} | {"traced",23} | ratio";

    public override string ToString()
    {
        Random random = new(1); // the same runs give the same interval
        double[] ratios = new double[Resamples];
        for (int i = 0; i < Resamples; i++)
        {
            int[] picked = [.. Untraced.Select(_ => random.Next(Untraced.Count))];
            ratios[i] = Quantile(picked.Select(p => Traced[p]), 0.5) / Quantile(picked.Select(p => Untraced[p]), 0.5);
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"{App,-10} {Untraced.Count,5} {Opens,5} | {Spread(Untraced),23} | {Spread(Traced),23} | {Quantile(Traced, 0.5) / Quantile(Untraced, 0.5):0.000} ({Quantile(ratios, 0.025):0.000} to {Quantile(ratios, 0.975):0.000})");
    }

    private static string Spread(IReadOnlyList<double> seconds) =>
        string.Create(CultureInfo.InvariantCulture, $"{1000 * Quantile(seconds, 0.5):0.0} ({1000 * Quantile(seconds, 0.25):0.0}, {1000 * Quantile(seconds, 0.75):0.0})");

    /// <summary>Between two values their weighted mean.</summary>
    private static double Quantile(IEnumerable<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        double position = share * (sorted.Length - 1);
        int below = (int)position;
        return below + 1 == sorted.Length ? sorted[below] : sorted[below] + ((position - below) * (sorted[below + 1] - sorted[below]));
    }
}
