using System.Globalization;

namespace Starlight.Benchmarks.Wan;

/// <summary>Pulls of bundles of several sizes, each the ways that there are, in turns, so that whatever else the machine does meets all alike.</summary>
internal static class Pulls
{
    private const string NewCubic = "new connection, CUBIC";
    private const string NewBbr = "new connection, BBR";
    private const string First = "no connection kept, stripes";
    private const string AfterStart = "after daemon start, stripes";
    private const string Warm = "warm connection";
    private const string Ordinary = "containerd's own pull (registry)";

    private static readonly LinkShape s_line = new(TimeSpan.FromMilliseconds(150), 100);

    /// <param name="link">Its shape is changed.</param>
    /// <param name="rounds">Pulls of each size in each way.</param>
    /// <param name="megabytes">Sizes.</param>
    /// <param name="stripes">Over how many connections a pull comes that finds no warm one; the last number also goes for those that do.</param>
    /// <param name="cancellationToken">Stops between rounds.</param>
    public static async Task RunAsync(EmulatedLink link, int rounds, int[] megabytes, int[] stripes, CancellationToken cancellationToken)
    {
        await using Site site = await Site.StartAsync(link);
        Console.WriteLine();
        Console.WriteLine($"Pulls over {s_line}; median of {rounds}, seconds on the line since the request or, for a new connection, since its first packet");
        Console.WriteLine("(bound: one round trip and the bytes; 1st byte: since the request, so that 0.150 is one round trip; asked: to the last byte since the daemon was told to pull, or the program started; command: until everything is stored)");
        Console.WriteLine("  bytes   how                               1st byte  last byte   (best)      bound  ratio | conn. new  asked  command");
        foreach (int size in megabytes.Select(m => m * 1_000_000))
        {
            Dictionary<string, List<Pull>> pulls = [];
            link.Shape = LinkShape.Wire;
            List<string> images = [];
            for (int i = 0; i <= rounds; i++)
            {
                images.Add(await site.PublishAsync($"wan{size}", i, size - 4_000));
            }

            // What a proxy does at its first request only, such as compiling itself, is no matter of the line.
            await site.DownloadAsync(images[0], Site.CubicPort);
            await site.DownloadAsync(images[0], Site.BbrPort);
            for (int round = 1; round <= rounds; round++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                link.Shape = s_line;
                Add(NewCubic, await site.DownloadAsync(images[round], Site.CubicPort));
                Add(NewBbr, await site.DownloadAsync(images[round], Site.BbrPort));
                foreach (int count in stripes)
                {
                    await site.StartDaemonAsync("--proxy-connections", "0", "--proxy-stripes", Text(count));
                    Add($"{First} {count}", await site.PullAsync(images[round]));
                }

                foreach (int count in stripes)
                {
                    await site.StartDaemonAsync("--proxy-stripes", Text(count));
                    Add($"{AfterStart} {count}", await site.PullAsync(images[0]));
                }

                await site.WaitForDaemonAsync(" are warm;");
                Add(Warm, await site.PullAsync(images[round]));
                Add(Ordinary, await site.OrdinaryPullAsync(images[round]));
            }

            foreach ((string how, List<Pull> all) in pulls)
            {
                Print(how, all);
            }

            void Add(string how, Pull pull)
            {
                if (!pulls.TryGetValue(how, out List<Pull>? all))
                {
                    pulls.Add(how, all = []);
                }

                all.Add(pull);
            }
        }
    }

    private static void Print(string how, List<Pull> all)
    {
        double bytes = Median(all, p => p.Line.Bytes);
        double last = Median(all, p => p.Line.LastByte);
        double bound = s_line.Bound((long)bytes);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{bytes,10:0} {how,-34} {Median(all, p => p.Line.FirstByte - p.Line.Request),7:0.000} {last,10:0.000} {all.Min(p => p.Line.LastByte),8:0.000} {bound,10:0.000} {last / bound,6:0.00} | {Median(all, p => p.Line.Connections),5:0} {Median(all, p => p.Line.New),3:0} {Median(all, p => p.SinceAsked),6:0.000} {Median(all, p => p.Command),8:0.00}"));
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static double Median(IEnumerable<Pull> pulls, Func<Pull, double> of)
    {
        double[] sorted = [.. pulls.Select(of).Order()];
        return sorted[(sorted.Length - 1) / 2];
    }
}
