using System.Diagnostics.Metrics;
using System.Text;
using Starlight.Application.Telemetry;

namespace Starlight.Presentation.Proxy.Observability;

/// <summary>
/// Listens to the proxy's own instruments and to those of ASP.NET, Kestrel and the runtime that an operator looks at, and writes them as Prometheus reads them. OpenTelemetry's
/// exporter for that is no stable package; what is needed of it is this and <see cref="MetricFamily"/>.
/// </summary>
internal sealed class MetricsCollector : IDisposable
{
    public const string MediaType = "text/plain; version=0.0.4; charset=utf-8";

    private static readonly double[] DefaultBoundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private static readonly Dictionary<string, string> None = [];

    /// <summary>Instruments of others, each with the tags that are kept.</summary>
    private static readonly Dictionary<string, Dictionary<string, string>> Chosen = new(StringComparer.Ordinal)
    {
        ["http.server.request.duration"] = new() { ["http.request.method"] = "method", ["http.route"] = "route", ["http.response.status_code"] = "status" },
        ["http.server.active_requests"] = None,
        ["kestrel.active_connections"] = None,
        ["kestrel.active_tls_handshakes"] = None,
        ["aspnetcore.rate_limiting.requests"] = new() { ["aspnetcore.rate_limiting.result"] = "result" },
        ["dotnet.process.memory.working_set"] = None,
        ["dotnet.process.cpu.time"] = new() { ["cpu.mode"] = "mode" },
        ["dotnet.gc.last_collection.heap.size"] = new() { ["gc.heap.generation"] = "generation" },
        ["dotnet.exceptions"] = None,
    };

    private static readonly Dictionary<string, string> OwnLabels = new() { ["kind"] = "kind", ["result"] = "result" };

    private readonly IMeterFactory _own;
    private readonly MeterListener _listener = new();
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, MetricFamily> _families = new(StringComparer.Ordinal);

    /// <param name="own">Of this host: in tests others run beside it in one process.</param>
    public MetricsCollector(IMeterFactory own)
    {
        _own = own;
        _listener.InstrumentPublished = Choose;
        _listener.SetMeasurementEventCallback<long>(static (instrument, value, tags, family) => Record(instrument, value, tags, family));
        _listener.SetMeasurementEventCallback<int>(static (instrument, value, tags, family) => Record(instrument, value, tags, family));
        _listener.SetMeasurementEventCallback<double>(static (instrument, value, tags, family) => Record(instrument, value, tags, family));
        _listener.Start();
    }

    public string Write()
    {
        _listener.RecordObservableInstruments();
        StringBuilder text = new(16 << 10);
        lock (_lock)
        {
            foreach (MetricFamily family in _families.Values)
            {
                family.Write(text);
            }
        }

        return text.ToString();
    }

    public void Dispose() => _listener.Dispose();

    private void Choose(Instrument instrument, MeterListener listener)
    {
        bool isOwn = instrument.Meter.Name == ProxyTelemetry.Name;
        Dictionary<string, string>? labels = isOwn ? OwnLabels : Chosen.GetValueOrDefault(instrument.Name);
        if (labels is null || (instrument.Meter.Scope is IMeterFactory factory && factory != _own))
        {
            return;
        }

        MetricKind kind = instrument switch
        {
            Histogram<double> or Histogram<long> => MetricKind.Histogram,
            Counter<long> or Counter<double> or ObservableCounter<long> or ObservableCounter<double> => MetricKind.Counter,
            _ => MetricKind.Gauge,
        };
        string name = instrument.Name.Replace('.', '_') + UnitOf(instrument) + (kind == MetricKind.Counter ? "_total" : "");
        double[] boundaries = kind == MetricKind.Histogram ? [.. (instrument as Histogram<double>)?.Advice?.HistogramBucketBoundaries ?? DefaultBoundaries] : [];
        lock (_lock)
        {
            if (_families.TryAdd(name, new MetricFamily(name, (instrument.Description ?? instrument.Name).ReplaceLineEndings(" "), kind, boundaries, labels)))
            {
                listener.EnableMeasurementEvents(instrument, _families[name]);
            }
        }
    }

    private static void Record(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? family) => ((MetricFamily)family!).Record(value, tags, instrument.IsObservable);

    private static string UnitOf(Instrument instrument) => instrument.Unit switch
    {
        "s" => "_seconds",
        "By" when !instrument.Name.EndsWith("bytes", StringComparison.Ordinal) => "_bytes",
        _ => "",
    };
}
