using System.Globalization;
using System.Security.Cryptography;
using Starlight.Domain.Content;

namespace Starlight.Benchmarks.Load;

/// <summary>Many workers pull one cached bundle at once; nginx serves the same bytes in turns with the proxy.</summary>
internal static class PullBenchmark
{
    private const double ThroughputGoal = 0.6;
    private const double MemoryGoal = 400;
    private const double FirstByteGoal = 200;

    public static async Task<int> RunAsync(bool postgres, int workers, int rounds, int megabytes, int slow)
    {
        await using ProxyUnderLoad proxy = await ProxyUnderLoad.StartAsync(postgres);
        string image = await GeneratedImage.PushAsync(proxy.RegistryHost, "pull", Files(megabytes));
        await proxy.NotifyAsync(image);
        string path = ProxyUnderLoad.BundlePath(image);
        string site = proxy.Scratch.Create("site");
        long length = await proxy.DownloadAsync(path, Path.Combine(site, "bundle"));
        Digest digest = await DigestOfAsync(Path.Combine(site, "bundle"));
        await using NginxServer nginx = await NginxServer.StartAsync(proxy.Scratch, site);

        // Everything is checked once; then only lengths are, at no cost to the servers.
        Fleet fleet = new(workers, slow);
        List<string> errors = [];
        errors.AddRange((await fleet.RunAsync(nginx.EndPoint, "/bundle", length, digest)).Errors);
        errors.AddRange((await fleet.RunAsync(proxy.EndPoint, path, length, digest)).Errors);
        List<Round> ours = [];
        List<Round> theirs = [];
        List<Round> ordinary = [];
        List<Round> withSlow = [];
        double cpu = 0;
        for (int i = 0; i < rounds; i++)
        {
            theirs.Add(await fleet.RunAsync(nginx.EndPoint, "/bundle", length));
            double before = proxy.Process.CpuSeconds;
            ours.Add(await fleet.RunAsync(proxy.EndPoint, path, length));
            cpu += proxy.Process.CpuSeconds - before;
        }

        (double peak, double resident) = (proxy.Process.PeakMegabytes, proxy.Process.ResidentMegabytes);
        for (int i = 0; i < rounds; i++)
        {
            ordinary.Add(await fleet.RunAsync(proxy.EndPoint, path, length));
            withSlow.Add(await fleet.RunAsync(proxy.EndPoint, path, length, withSlow: true));
        }

        errors.AddRange(theirs.Concat(ours).Concat(ordinary).Concat(withSlow).SelectMany(r => r.Errors));
        double ratio = Figures.Median(ours.Zip(theirs, (a, b) => a.MegabytesPerSecond / b.MegabytesPerSecond));
        double slowRatio = Figures.Median(withSlow.Zip(ordinary, (a, b) => a.MegabytesPerSecond / b.MegabytesPerSecond));
        double[] first = [.. ours.SelectMany(r => r.FirstByte).Order()];
        double[] nginxFirst = [.. theirs.SelectMany(r => r.FirstByte).Order()];
        double[] slowFirst = [.. withSlow.SelectMany(r => r.FirstByte).Order()];
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"""
            {workers} workers at once, a cached bundle of {length / 1e6:0.0} MB, {rounds} rounds each in turns, {Environment.ProcessorCount} cores shared with the workers
            errors                        {errors.Count}
            throughput, MB/s              proxy {Figures.Median(ours.Select(r => r.MegabytesPerSecond)):0}, nginx {Figures.Median(theirs.Select(r => r.MegabytesPerSecond)):0}
            throughput, proxy / nginx     {ratio:0.00} (median of rounds; {string.Join(' ', ours.Zip(theirs, (a, b) => (a.MegabytesPerSecond / b.MegabytesPerSecond).ToString("0.00", CultureInfo.InvariantCulture)))})
            proxy's CPU seconds per GB    {cpu / (ours.Sum(r => r.Bytes) / 1e9):0.00}
            first byte of all, ms         proxy p50 {Figures.Quantile(first, 0.5):0} p99 {Figures.Quantile(first, 0.99):0} max {first[^1]:0}; nginx p50 {Figures.Quantile(nginxFirst, 0.5):0} p99 {Figures.Quantile(nginxFirst, 0.99):0}
            resident memory of the proxy  at its highest {peak:0} MB, now {resident:0} MB
            with {slow} readers of 10 KB/s   throughput of the others {slowRatio:0.00} of what it is without, first byte p99 {Figures.Quantile(slowFirst, 0.99):0} ms, the slow ones got {withSlow.Sum(r => r.SlowBytes) / 1e3:0} KB
            """));
        foreach (IGrouping<string, string> error in errors.GroupBy(e => e))
        {
            Console.WriteLine($"error, {error.Count()} times: {error.Key}");
        }

        return Figures.Report(
            ("no error", errors.Count == 0),
            ($"throughput at least {ThroughputGoal} of nginx's", ratio >= ThroughputGoal),
            ($"at most {MemoryGoal} MB", peak <= MemoryGoal),
            ($"first byte p99 at most {FirstByteGoal} ms", Figures.Quantile(first, 0.99) <= FirstByteGoal));
    }

    private static IEnumerable<GeneratedFile> Files(int megabytes)
    {
        // Their bytes shrink to three quarters.
        const int length = 256 * 1024;
        int count = (int)((long)megabytes * 1024 * 1024 * 4 / 3 / length);
        return Enumerable.Range(0, count).Select(i => new GeneratedFile($"data/{i / 100:000}/{i:00000}", length, (uint)(i + 1) * 2654435761u));
    }

    private static async Task<Digest> DigestOfAsync(string file)
    {
        await using FileStream stream = File.OpenRead(file);
        return new Digest(await SHA256.HashDataAsync(stream));
    }
}
