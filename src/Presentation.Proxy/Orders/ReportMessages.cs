using System.Collections.ObjectModel;
using Starlight.Application.Report;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy.Orders;

/// <summary>Body of <c>POST /starlight/report</c>.</summary>
/// <param name="Worker">What the worker calls itself.</param>
internal sealed record ReportRequest(string? Worker, ReportedTraces? Traces);

/// <summary>As many traces as may be sent, and one more to show that there were too many: a body of 32 MiB has room for ten million empty ones.</summary>
internal sealed class ReportedTraces : Collection<ReportedTraceMessage?>
{
    protected override void InsertItem(int index, ReportedTraceMessage? item)
    {
        if (Count <= ReportTracesCommand.MaxTraces)
        {
            base.InsertItem(index, item);
        }
    }
}

/// <summary>One trace; times in microseconds. The last three lists are parallel.</summary>
/// <param name="Contents">64 hex digits each.</param>
/// <param name="At">Since the container's start.</param>
/// <param name="Waited">For the content to arrive.</param>
internal sealed record ReportedTraceMessage(
    string? Id,
    string? Image,
    string? Source,
    string? Group,
    string? GroupRun,
    long GroupOffset,
    DateTimeOffset StartedAt,
    IReadOnlyList<string?>? Contents,
    IReadOnlyList<long>? At,
    IReadOnlyList<long>? Waited)
{
    /// <summary>Everything that is wrong with one trace is its own refusal.</summary>
    public static SubmittedTrace Parse(ReportedTraceMessage? message, DateTimeOffset now)
    {
        string id = message?.Id is { Length: <= 64 } given ? given : "";
        return new SubmittedTrace(id, message is null ? Malformed("it is null") : message.Parse(now));
    }

    private Result<Trace> Parse(DateTimeOffset now)
    {
        if (!Guid.TryParseExact(Id, "D", out Guid id))
        {
            return Malformed("its id is not a UUID");
        }

        if (!Digest.TryParse(Image, out Digest image))
        {
            return Malformed("its image is not a digest");
        }

        TraceSource? source = Source switch
        {
            "optimizer" => TraceSource.Optimizer,
            "label" => TraceSource.Label,
            "online" => TraceSource.Online,
            _ => null,
        };
        if (source is null)
        {
            return Malformed("its source is none of optimizer, label and online");
        }

        TraceGroup? group = null;
        if (Group is not null)
        {
            if (!Guid.TryParseExact(GroupRun, "D", out Guid run) || !IsSpan(GroupOffset))
            {
                return Malformed("it has a group without a run, or an impossible offset in it");
            }

            group = new TraceGroup(Group, run, TimeSpan.FromMicroseconds(GroupOffset));
        }

        if (Contents is null || At is null || Waited is null || At.Count != Contents.Count || Waited.Count != Contents.Count)
        {
            return Malformed("its lists are not of one length");
        }

        if (Contents.Count > Trace.MaxOpens)
        {
            return new Error("Trace.TooLong", $"it has {Contents.Count} entries, and {Trace.MaxOpens} are the most", ErrorKind.InvalidInput);
        }

        FirstOpen[] opens = new FirstOpen[Contents.Count];
        for (int i = 0; i < opens.Length; i++)
        {
            if (!Digest.TryParseHex(Contents[i], out Digest content) || !IsSpan(At[i]) || !IsSpan(Waited[i]))
            {
                return Malformed($"its entry {i + 1} is not a content with two times");
            }

            opens[i] = new FirstOpen(content, TimeSpan.FromMicroseconds(At[i]), TimeSpan.FromMicroseconds(Waited[i]));
        }

        return Trace.Create(id, image, source.Value, group, StartedAt, opens, now);
    }

    /// <summary>So that it can be turned into ticks at all; whether it is possible the domain says.</summary>
    private static bool IsSpan(long microseconds) => microseconds >= 0 && microseconds <= TimeSpan.MaxValue.Ticks / TimeSpan.TicksPerMicrosecond;

    private static Error Malformed(string why) => new("Trace.Malformed", why, ErrorKind.InvalidInput);
}

/// <summary>Answer of <c>POST /starlight/report</c>: what became of each trace, in the order they came.</summary>
internal sealed record ReportAnswer(IReadOnlyList<ReportedOutcome> Traces)
{
    public static ReportAnswer Of(IReadOnlyList<TraceOutcome> outcomes) => new([.. outcomes.Select(ReportedOutcome.Of)]);
}

/// <param name="Outcome"><c>stored</c>, <c>known</c> or <c>refused</c>.</param>
/// <param name="Refusal">Why it was refused: it would be refused again.</param>
internal sealed record ReportedOutcome(string Id, string Outcome, Problem? Refusal)
{
    public static ReportedOutcome Of(TraceOutcome outcome) => outcome.Refusal is { } refusal
        ? new ReportedOutcome(outcome.Id, "refused", Problem.Of(refusal))
        : new ReportedOutcome(outcome.Id, outcome.Known ? "known" : "stored", null);
}
