using System.Diagnostics;
using System.Globalization;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Benchmarks.Snapshots;

/// <summary>One snapshotter, asked one way.</summary>
internal sealed class Subject(string name, GrpcChannel channel, string snapshotter)
{
    private static readonly GrpcCallOptions s_options = new() { Metadata = new Dictionary<string, string> { ["containerd-namespace"] = "benchmark" } };
    private readonly List<double[]> _times = [];
    private readonly string _prefix = $"{name.Replace(' ', '-')}-";
    private string _top = "";

    public double Median => Quantile(t => t.Sum(), 0.5);

    public async Task MakeLayersAsync(int count)
    {
        for (int i = 0; i < count; i++)
        {
            string layer = $"{_prefix}layer{i}";
            await PrepareAsync(layer + "-active", _top);
            CommitSnapshotRequest commit = new() { Snapshotter = snapshotter, Key = layer + "-active", Name = layer, Labels = { ["containerd.io/gc.root"] = "benchmark" } };
            await channel.UnaryAsync(SnapshotsMethods.Commit, commit, s_options);
            _top = layer;
        }
    }

    public async Task RunAsync(bool keep)
    {
        string key = _prefix + "container";
        double[] times = new double[3];
        long start = Stopwatch.GetTimestamp();
        await PrepareAsync(key, _top);
        times[0] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        start = Stopwatch.GetTimestamp();
        await channel.UnaryAsync(SnapshotsMethods.Mounts, new MountsRequest { Snapshotter = snapshotter, Key = key }, s_options);
        times[1] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        start = Stopwatch.GetTimestamp();
        await channel.UnaryAsync(SnapshotsMethods.Remove, new RemoveSnapshotRequest { Snapshotter = snapshotter, Key = key }, s_options);
        times[2] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (keep)
        {
            _times.Add(times);
        }
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{name,-30} {Median,8:0.000} {Quantile(t => t.Sum(), 0.9),8:0.000} {Quantile(t => t.Sum(), 0.99),8:0.000}   ({Quantile(t => t[0], 0.5):0.000}, {Quantile(t => t[1], 0.5):0.000}, {Quantile(t => t[2], 0.5):0.000})");

    private Task PrepareAsync(string key, string parent) => channel.UnaryAsync(
        SnapshotsMethods.Prepare,
        new PrepareSnapshotRequest { Snapshotter = snapshotter, Key = key, Parent = parent, Labels = { ["containerd.io/gc.root"] = "benchmark" } },
        s_options);

    private double Quantile(Func<double[], double> of, double quantile)
    {
        double[] sorted = [.. _times.Select(of).Order()];
        return sorted[(int)(quantile * (sorted.Length - 1))];
    }
}
