using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Starlight.Application.Telemetry;

/// <summary>
/// What the proxy counts and times, for whoever listens; with nobody listening a measurement costs a branch. Static, because the data plane has no service
/// provider. Names follow OpenTelemetry; /metrics writes them as Prometheus does (<c>starlight_bundle_bytes_total</c>).
/// </summary>
public static class ProxyTelemetry
{
    public const string Name = "Starlight.Proxy";

    private static readonly Meter Meter = new(Name);

    /// <summary>Spans: planning a delta, building a bundle, indexing an image.</summary>
    public static readonly ActivitySource Source = new(Name);

    /// <summary>Bytes written into bundles, by <c>kind</c>: raw, block or patch. What is built once and sent often counts once.</summary>
    public static readonly Counter<long> BundleBytes = Meter.CreateCounter<long>("starlight.bundle.bytes", "By", "Bytes written into bundles, by kind of block");

    /// <summary>Bundles asked for, by <c>result</c>: hit (finished), joined (being built) or miss.</summary>
    public static readonly Counter<long> BundleRequests = Meter.CreateCounter<long>("starlight.bundle.requests", "{request}", "Bundles asked for, by what the cache had");

    public static readonly Counter<long> PreparedBundles = Meter.CreateCounter<long>("starlight.bundle.prepared", "{bundle}", "Bundles built before somebody asked for them");

    public static readonly Histogram<double> BundleBuildTime = Meter.CreateHistogram<double>("starlight.bundle.build.duration", "s", "Time to build a bundle", tags: null, Seconds([0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]));

    /// <summary>From the request for a delta to the plan that says what is sent.</summary>
    public static readonly Histogram<double> PlanTime = Meter.CreateHistogram<double>("starlight.delta.plan.duration", "s", "Time to plan a delta", tags: null, Seconds([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]));

    /// <summary>By <c>result</c>: indexed (something was read), known or failed.</summary>
    public static readonly Histogram<double> IndexTime = Meter.CreateHistogram<double>("starlight.index.duration", "s", "Time to index an image reference", tags: null, Seconds([0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300]));

    /// <summary>Contents read from layers that the proxy did not have, bytes before compression.</summary>
    public static readonly Counter<long> IndexedBytes = Meter.CreateCounter<long>("starlight.index.content.bytes", "By", "New contents taken in, before compression");

    /// <summary>Disk blocks of the content store. Known in full when the store has been read, in the background after the start.</summary>
    public static readonly UpDownCounter<long> StoredBytes = Meter.CreateUpDownCounter<long>("starlight.store.bytes", "By", "Room that stored contents take on disk");

    public static readonly Counter<long> EvictedContents = Meter.CreateCounter<long>("starlight.store.evicted", "{content}", "Contents removed to keep the store below its limit");

    public static readonly UpDownCounter<long> ActiveStreams = Meter.CreateUpDownCounter<long>("starlight.streams.active", "{stream}", "Bundles being sent");

    /// <summary>Bytes of bundles given to the network; a stream counts when it ends.</summary>
    public static readonly Counter<long> SentBytes = Meter.CreateCounter<long>("starlight.stream.sent", "By", "Bytes of bundles sent");

    private static InstrumentAdvice<double> Seconds(double[] boundaries) => new() { HistogramBucketBoundaries = boundaries };
}
