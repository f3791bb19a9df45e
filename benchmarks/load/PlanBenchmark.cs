using System.Globalization;

namespace Starlight.Benchmarks.Load;

/// <summary>How long the proxy plans for a worker that has one version of an image and wants the next. A tenth of the files differ.</summary>
internal static class PlanBenchmark
{
    private const int Rounds = 20;
    private const int Restarts = 5;
    private const double MemoryGoal = 30;
    private const double DatabaseGoal = 300;

    public static async Task<int> RunAsync(bool postgres, int files)
    {
        await using ProxyUnderLoad proxy = await ProxyUnderLoad.StartAsync(postgres);
        string old = await GeneratedImage.PushAsync(proxy.RegistryHost, "old", Files(files, version: 1));
        string next = await GeneratedImage.PushAsync(proxy.RegistryHost, "next", Files(files, version: 2));
        string known = $"{old}@{await proxy.NotifyAsync(old)}";
        await proxy.NotifyAsync(next);
        string path = ProxyUnderLoad.BundlePath(next, known);

        // Small images that the worker has, too: with another one each time a plan is not the one that was made before.
        List<string> others = [];
        for (int i = 0; i < Rounds; i++)
        {
            string other = await GeneratedImage.PushAsync(proxy.RegistryHost, $"other{i}", Files(10, version: 3 + (uint)i));
            others.Add($"{other}@{await proxy.NotifyAsync(other)}");
        }

        List<Planning> first = [];
        List<Planning> database = [];
        for (int i = 0; i < Restarts; i++)
        {
            await proxy.RestartAsync();
            first.Add(await MeasureAsync(proxy, path));
            await proxy.RestartAsync();
            await proxy.HeadAsync(ProxyUnderLoad.BundlePath(others[0], others[1]));
            database.Add(await MeasureAsync(proxy, path));
        }

        List<Planning> memory = [];
        List<Planning> again = [];
        foreach (string other in others)
        {
            string fresh = ProxyUnderLoad.BundlePath(next, $"{known},{other}");
            await proxy.HeadAsync(ProxyUnderLoad.BundlePath(other.Split('@')[0]));
            memory.Add(await MeasureAsync(proxy, fresh));
            again.Add(await MeasureAsync(proxy, fresh));
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"""
            planning a delta with patches between two images of {files:N0} files, a tenth of them changed, ms (median; all; median of processor time)
            metadata in memory                                {Text(memory)}
            the same plan again                               {Text(again)}
            from the database, after another image's request  {Text(database)}
            from the database, first request after a restart  {Text(first)}
            """));
        return Figures.Report(
            ($"in memory at most {MemoryGoal} ms", Figures.Median([.. memory.Select(m => m.Elapsed)]) <= MemoryGoal), ($"from the database at most {DatabaseGoal} ms, also right after a restart", Figures.Median([.. first.Select(f => f.Elapsed)]) <= DatabaseGoal));
    }

    private static async Task<Planning> MeasureAsync(ProxyUnderLoad proxy, string path)
    {
        double before = await proxy.PlannedMillisecondsAsync();
        double processor = proxy.Process.CpuSeconds;
        await proxy.HeadAsync(path);
        processor = proxy.Process.CpuSeconds - processor;
        return new Planning(await proxy.PlannedMillisecondsAsync() - before, processor * 1000);
    }

    private static string Text(List<Planning> values) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Figures.Median([.. values.Select(v => v.Elapsed)]):0.0}   ({string.Join(' ', values.Select(v => v.Elapsed).Order().Select(v => v.ToString("0", CultureInfo.InvariantCulture)))})   {Figures.Median([.. values.Select(v => v.Processor)]):0}");

    private static IEnumerable<GeneratedFile> Files(int count, uint version) => Enumerable.Range(0, count).Select(i => new GeneratedFile(
        $"usr/lib/package-{i / 1000:000}/module{i / 50:00000}/file_{i:000000}.py", 400 + (i % 400), (uint)(i + 1) * 2654435761u + (i % 10 == 0 ? version : 0) * 2));

    /// <param name="Elapsed">Milliseconds as the proxy counts them.</param>
    /// <param name="Processor">Milliseconds of all its threads meanwhile, to 10: what a machine with other things to do does not change.</param>
    private readonly record struct Planning(double Elapsed, double Processor);
}
