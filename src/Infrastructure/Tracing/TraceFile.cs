using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Tracing;

/// <summary>
/// A trace on disk: text, so that a person can read it and a killed daemon leaves at most half a line.
/// <code>
/// {"version":1,"id":…,"reference":…,…}                                  one line of JSON
/// HEX AT WAITED                                                         per first open: 64 digits, microseconds twice
/// </code>
/// Named <c>ID.open</c> while it grows and <c>ID.trace</c> once it is finished.
/// </summary>
internal static class TraceFile
{
    public const string Growing = ".open";
    public const string Finished = ".trace";

    private const int Version = 1;

    /// <summary>Of the header, and of a line: a digest and two numbers of 19 digits. Longer files are not ours.</summary>
    private const int MaxLength = (64 << 10) + (Trace.MaxOpens * (Digest.HexLength + 41));

    public static byte[] HeaderLine(TraceHeader header) =>
    [
        .. JsonSerializer.SerializeToUtf8Bytes(
            new TraceFileHeader(
                Version, header.Id, header.Reference, header.Image.ToString(), header.ProxyProfile, header.Source.ToString(), header.Group?.Name, header.Group?.Run, header.Group?.Offset.Ticks, header.StartedAt),
            TraceFileJson.Default.TraceFileHeader),
        (byte)'\n',
    ];

    /// <summary>One line, ASCII.</summary>
    public static void AppendLine(StringBuilder text, in FirstOpen open) =>
        text.Append(open.Content.Hex).Append(CultureInfo.InvariantCulture, $" {Microseconds(open.At)} {Microseconds(open.Waited)}\n");

    /// <summary>Null if the file is not there, or is not a trace. What follows a line that is damaged or cut off is left out, and so is what no trace of ours has room for.</summary>
    /// <exception cref="FailureException">Unavailable <c>Trace.NotReadable</c>.</exception>
    public static (TraceHeader Header, IReadOnlyList<FirstOpen> Opens)? TryRead(string path)
    {
        string text;
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            byte[] bytes = new byte[Math.Min(file.Length, MaxLength)];
            text = Encoding.UTF8.GetString(bytes, 0, file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(new Error("Trace.NotReadable", $"the trace {path} cannot be read: {e.Message}", ErrorKind.Unavailable), e);
        }

        int end = text.IndexOf('\n', StringComparison.Ordinal);
        return end >= 0 && ParseHeader(text[..end]) is { } header ? (header, ParseOpens(text.AsSpan(end + 1))) : null;
    }

    private static TraceHeader? ParseHeader(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, TraceFileJson.Default.TraceFileHeader) is { Version: Version, Reference: not null, ProxyProfile: not null } read
                && Digest.TryParse(read.Image, out Digest image)
                && Enum.TryParse(read.Source, out TraceSource source)
                && Enum.IsDefined(source)
                ? new TraceHeader(
                    read.Id,
                    read.Reference,
                    image,
                    read.ProxyProfile,
                    source,
                    read.Group is not null && read.GroupRun is { } run ? new TraceGroup(read.Group, run, TimeSpan.FromTicks(read.GroupOffsetTicks ?? 0)) : null,
                    read.StartedAt)
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static List<FirstOpen> ParseOpens(ReadOnlySpan<char> text)
    {
        List<FirstOpen> opens = [];
        while (opens.Count < Trace.MaxOpens && text.IndexOf('\n') is >= 0 and int end)
        {
            if (ParseOpen(text[..end]) is not { } open)
            {
                break;
            }

            opens.Add(open);
            text = text[(end + 1)..];
        }

        return opens;
    }

    private static FirstOpen? ParseOpen(ReadOnlySpan<char> line)
    {
        if (line.Length <= Digest.HexLength + 1 || line[Digest.HexLength] != ' ' || !Digest.TryParseHex(line[..Digest.HexLength], out Digest content))
        {
            return null;
        }

        ReadOnlySpan<char> times = line[(Digest.HexLength + 1)..];
        int space = times.IndexOf(' ');
        return space > 0
            && long.TryParse(times[..space], NumberStyles.None, CultureInfo.InvariantCulture, out long at)
            && long.TryParse(times[(space + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out long waited)
            && Math.Max(at, waited) <= Microseconds(Trace.MaxOffset)
            ? new FirstOpen(content, TimeSpan.FromMicroseconds(at), TimeSpan.FromMicroseconds(waited))
            : null;
    }

    private static long Microseconds(TimeSpan span) => span.Ticks / TimeSpan.TicksPerMicrosecond;
}

/// <summary>The first line of a trace.</summary>
internal sealed record TraceFileHeader(
    int Version, Guid Id, string Reference, string Image, string ProxyProfile, string Source, string? Group, Guid? GroupRun, long? GroupOffsetTicks, DateTimeOffset StartedAt);

/// <summary>The switch, as it outlives the daemon: <c>optimizer.json</c>.</summary>
internal sealed record OptimizerSwitch(bool On, string? Group, Guid Run);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(TraceFileHeader))]
[JsonSerializable(typeof(OptimizerSwitch))]
internal sealed partial class TraceFileJson : JsonSerializerContext;
