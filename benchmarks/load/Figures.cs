namespace Starlight.Benchmarks.Load;

internal static class Figures
{
    /// <param name="ascending">Sorted.</param>
    /// <param name="quantile">0 to 1.</param>
    public static double Quantile(double[] ascending, double quantile) => ascending[(int)(quantile * (ascending.Length - 1))];

    public static double Median(IEnumerable<double> values) => Quantile([.. values.Order()], 0.5);

    /// <summary>Prints which goals were met.</summary>
    /// <returns>The exit code: 1 if one was missed.</returns>
    public static int Report(params (string Goal, bool Met)[] goals)
    {
        foreach ((string goal, bool met) in goals)
        {
            Console.WriteLine($"goal, {goal}: {(met ? "met" : "MISSED")}");
        }

        return goals.All(g => g.Met) ? 0 : 1;
    }
}
