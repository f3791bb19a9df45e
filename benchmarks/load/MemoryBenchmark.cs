using System.Diagnostics;
using System.Globalization;

namespace Starlight.Benchmarks.Load;

/// <summary>Resident memory of a proxy while it indexes an image of many files, or of one large layer, and while it makes and sends the bundle for a worker that has nothing.</summary>
internal static class MemoryBenchmark
{
    private const double Goal = 400;

    public static async Task<int> RunAsync(bool postgres, int files, int layerMegabytes)
    {
        Console.WriteLine("resident memory of the proxy at its highest, MB       idle  notify  (s)   restarted, pull  (s)   pulled again");
        double highest = 0;
        if (files > 0)
        {
            highest = Math.Max(highest, await RunAsync(postgres, string.Create(CultureInfo.InvariantCulture, $"{files:N0} files"), Many(files)));
        }

        if (layerMegabytes > 0)
        {
            highest = Math.Max(highest, await RunAsync(postgres, string.Create(CultureInfo.InvariantCulture, $"a layer of {layerMegabytes:N0} MB"), Large(layerMegabytes)));
        }

        return Figures.Report(($"at most {Goal} MB", highest <= Goal));
    }

    private static async Task<double> RunAsync(bool postgres, string title, IEnumerable<GeneratedFile> files)
    {
        await using ProxyUnderLoad proxy = await ProxyUnderLoad.StartAsync(postgres);
        string image = await GeneratedImage.PushAsync(proxy.RegistryHost, "memory", files);
        double idle = proxy.Process.PeakMegabytes;
        long started = Stopwatch.GetTimestamp();
        await proxy.NotifyAsync(image);
        (double notify, double notifySeconds) = (proxy.Process.PeakMegabytes, Stopwatch.GetElapsedTime(started).TotalSeconds);
        await proxy.RestartAsync();
        started = Stopwatch.GetTimestamp();
        await proxy.DownloadAsync(ProxyUnderLoad.BundlePath(image), file: null);
        (double pull, double pullSeconds) = (proxy.Process.PeakMegabytes, Stopwatch.GetElapsedTime(started).TotalSeconds);
        proxy.Process.ForgetPeak();
        await proxy.DownloadAsync(ProxyUnderLoad.BundlePath(image), file: null);
        double again = proxy.Process.PeakMegabytes;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{title,-50} {idle,6:0} {notify,7:0} {notifySeconds,6:0.0} {pull,14:0} {pullSeconds,8:0.0} {again,11:0}"));
        return Math.Max(notify, Math.Max(pull, again));
    }

    /// <summary>Distinct contents in a hundred files a directory.</summary>
    private static IEnumerable<GeneratedFile> Many(int count) => Enumerable.Range(0, count).Select(i => new GeneratedFile(
        $"usr/lib/package-{i / 10_000:000}/module_{i / 100:00000}/file_number_{i:0000000}.py", 40 + (i % 100), (uint)(i + 1) * 2654435761u));

    /// <summary>Half of it one file, the other half files of a megabyte.</summary>
    private static IEnumerable<GeneratedFile> Large(int megabytes)
    {
        yield return new GeneratedFile("opt/model.bin", (long)megabytes / 2 << 20, 7);
        for (int i = 0; i < megabytes / 2; i++)
        {
            yield return new GeneratedFile($"opt/part-{i:0000}.bin", 1 << 20, (uint)(i + 1) * 2654435761u);
        }
    }
}
