using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Starlight.Presentation.Proxy.Observability;

internal enum MetricKind
{
    Counter,
    Gauge,
    Histogram,
}

/// <summary>One instrument with its series, one per set of labels. Safe for concurrent use.</summary>
/// <param name="name">As Prometheus names it.</param>
/// <param name="help">One line.</param>
/// <param name="kind">How measurements add up.</param>
/// <param name="boundaries">Of a histogram's buckets, ascending.</param>
/// <param name="labels">Tags that are kept, under their Prometheus names; all others are added up.</param>
internal sealed class MetricFamily(string name, string help, MetricKind kind, double[] boundaries, IReadOnlyDictionary<string, string> labels)
{
    /// <summary>Labels come from routes and enumerations, so there are few; this is a guard against a mistake that would eat the memory.</summary>
    private const int MaxSeries = 500;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Series> _series = new(StringComparer.Ordinal);

    public string Name { get; } = name;

    /// <param name="value">The measurement.</param>
    /// <param name="tags">Its tags.</param>
    /// <param name="isTotal">The value is the instrument's state (observable counters and gauges), not what is added to it.</param>
    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags, bool isTotal)
    {
        Span<char> buffer = stackalloc char[256];
        ReadOnlySpan<char> key = KeyOf(tags, buffer);
        lock (_lock)
        {
            Dictionary<string, Series>.AlternateLookup<ReadOnlySpan<char>> lookup = _series.GetAlternateLookup<ReadOnlySpan<char>>();
            if (!lookup.TryGetValue(key, out Series? series))
            {
                if (_series.Count >= MaxSeries)
                {
                    return;
                }

                series = new Series(new long[boundaries.Length + 1]);
                lookup[key] = series;
            }

            if (kind == MetricKind.Histogram)
            {
                int bucket = Array.BinarySearch(boundaries, value);
                series.Buckets[bucket < 0 ? ~bucket : bucket]++;
                series.Count++;
                series.Value += value;
            }
            else
            {
                series.Value = isTotal ? value : series.Value + value;
            }
        }
    }

    /// <summary>prometheus.io/docs/instrumenting/exposition_formats, "Text-based format", version 0.0.4.</summary>
    public void Write(StringBuilder text)
    {
        lock (_lock)
        {
            if (_series.Count == 0)
            {
                return;
            }

            text.Append("# HELP ").Append(Name).Append(' ').Append(help).Append('\n');
            text.Append("# TYPE ").Append(Name).Append(' ').Append(kind.ToString().ToLowerInvariant()).Append('\n');
            foreach ((string key, Series series) in _series)
            {
                if (kind == MetricKind.Histogram)
                {
                    WriteHistogram(text, key, series);
                }
                else
                {
                    WriteSample(text, Name, key, extra: "", series.Value);
                }
            }
        }
    }

    private void WriteHistogram(StringBuilder text, string key, Series series)
    {
        long cumulative = 0;
        for (int i = 0; i <= boundaries.Length; i++)
        {
            cumulative += series.Buckets[i];
            WriteSample(text, Name + "_bucket", key, $"le=\"{(i == boundaries.Length ? "+Inf" : boundaries[i].ToString(CultureInfo.InvariantCulture))}\"", cumulative);
        }

        WriteSample(text, Name + "_sum", key, extra: "", series.Value);
        WriteSample(text, Name + "_count", key, extra: "", series.Count);
    }

    private static void WriteSample(StringBuilder text, string name, string key, string extra, double value)
    {
        text.Append(name);
        if (key.Length + extra.Length > 0)
        {
            text.Append('{').Append(key).Append(key.Length > 0 && extra.Length > 0 ? "," : "").Append(extra).Append('}');
        }

        text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
    }

    /// <summary><c>route="/starlight/delta",status="200"</c>; what does not fit is cut off.</summary>
    private ReadOnlySpan<char> KeyOf(ReadOnlySpan<KeyValuePair<string, object?>> tags, Span<char> buffer)
    {
        int length = 0;
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            if (labels.TryGetValue(tag.Key, out string? label))
            {
                string value = Escaped(Convert.ToString(tag.Value, CultureInfo.InvariantCulture) ?? "");
                if (!buffer[length..].TryWrite(CultureInfo.InvariantCulture, $"{(length == 0 ? "" : ",")}{label}=\"{value}\"", out int written))
                {
                    break;
                }

                length += written;
            }
        }

        return buffer[..length];
    }

    private static string Escaped(string value) => value.AsSpan().IndexOfAny('\\', '"', '\n') < 0
        ? value
        : value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private sealed class Series(long[] buckets)
    {
        public double Value { get; set; }

        public long Count { get; set; }

        public long[] Buckets { get; } = buckets;
    }
}
