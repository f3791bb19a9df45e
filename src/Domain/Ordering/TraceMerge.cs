using Starlight.Domain.Content;

namespace Starlight.Domain.Ordering;

/// <summary>
/// Merges the traces of one image (ADR 0030). The rank of a content in a trace is its position; positions are not divided by the trace's length, because a start that was cut short begins like
/// any other. Across traces it is the average over those that opened it. Averages are taken three times, so that nobody counts more for reporting more: over the newest
/// <see cref="MaxTracesOfWorker"/> traces of each worker, over the workers of each account, over accounts.
/// </summary>
/// <remarks>
/// Among three or more voters (traces, workers, accounts) one may be broken or hostile. Of three or more ranks that a content has, the lowest and the highest are left out before the average; of two
/// the later counts; and what only one voter has seen is rare and comes last. So with three honest voters, whatever a fourth one says, the rank of what all of them opened stays within the ranks
/// that honest ones gave it, and what only the fourth opened comes behind. The result does not depend on the order of the arguments.
/// </remarks>
public static class TraceMerge
{
    /// <summary>Of one worker: enough to average out a bad start, few enough that the order follows what the image does now. Arbitrary.</summary>
    public const int MaxTracesOfWorker = 8;

    /// <summary>Of one account, the newest, for each image; bounds the work. Arbitrary.</summary>
    public const int MaxTracesOfAccount = 64;

    /// <summary>From so many voters on a single one is outvoted.</summary>
    private const int Quorum = 3;

    public static LearnedOrder Merge(IReadOnlyCollection<ReportedTrace> traces)
    {
        ReportedTrace[] counted =
        [
            .. traces
                .DistinctBy(t => t.Trace.Id)
                .GroupBy(t => (t.Account, t.Worker))
                .SelectMany(worker => Newest(worker).Take(MaxTracesOfWorker))
                .GroupBy(t => t.Account, StringComparer.Ordinal)
                .SelectMany(account => Newest(account).Take(MaxTracesOfAccount)),
        ];
        if (counted.Length == 0)
        {
            return LearnedOrder.None;
        }

        Dictionary<Digest, Opinion>[] accounts =
        [
            .. counted
                .GroupBy(t => t.Account, StringComparer.Ordinal)
                .Select(account => Combine([.. account.GroupBy(t => t.Worker, StringComparer.Ordinal).Select(worker => Combine([.. worker.Select(t => OpinionsOf(t.Trace))]))])),
        ];
        return new LearnedOrder(
            [
                .. Combine(accounts)
                    .Select(o => new LearnedContent(o.Key, o.Value.Rank, TimeSpan.FromTicks((long)o.Value.Ticks), o.Value.Traces, o.Value.IsRare))
                    .OrderBy(c => c.IsRare).ThenBy(c => c.Rank).ThenByDescending(c => c.Traces).ThenBy(c => c.Content),
            ],
            counted.Length,
            OffsetsOf(counted));
    }

    private static IOrderedEnumerable<ReportedTrace> Newest(IEnumerable<ReportedTrace> traces) => traces.OrderByDescending(t => t.Trace.StartedAt).ThenBy(t => t.Trace.Id);

    /// <summary>Time spent waiting says how the content came, not when the application wants it.</summary>
    private static Dictionary<Digest, Opinion> OpinionsOf(Trace trace)
    {
        Dictionary<Digest, Opinion> opinions = new(trace.Opens.Count);
        long waited = 0;
        long last = 0;
        for (int position = 0; position < trace.Opens.Count; position++)
        {
            FirstOpen open = trace.Opens[position];
            last = Math.Max(last, open.At.Ticks - waited);
            opinions.Add(open.Content, new Opinion(position, last, 1, IsRare: false));
            waited += open.Waited.Ticks;
        }

        return opinions;
    }

    private static Dictionary<Digest, Opinion> Combine(IReadOnlyList<Dictionary<Digest, Opinion>> voters)
    {
        if (voters.Count == 1)
        {
            return voters[0];
        }

        Dictionary<Digest, List<Opinion>> byContent = [];
        foreach (Dictionary<Digest, Opinion> voter in voters)
        {
            foreach ((Digest content, Opinion opinion) in voter)
            {
                (byContent.TryGetValue(content, out List<Opinion>? opinions) ? opinions : byContent[content] = []).Add(opinion);
            }
        }

        return byContent.ToDictionary(c => c.Key, c => Combine(c.Value, voters.Count));
    }

    private static Opinion Combine(List<Opinion> opinions, int voters)
    {
        int traces = opinions.Sum(o => o.Traces);
        bool isRare = opinions.TrueForAll(o => o.IsRare) || (voters >= Quorum && opinions.Count == 1);
        return new Opinion(Typical([.. opinions.Select(o => o.Rank)], voters), Typical([.. opinions.Select(o => o.Ticks)], voters), traces, isRare);
    }

    /// <summary>Sorted first: the sum of doubles depends on their order in the last bit, and the order must be the same on every proxy.</summary>
    private static double Typical(double[] values, int voters)
    {
        Array.Sort(values);
        return (values.Length, voters) switch
        {
            ( >= Quorum, _) => values.AsSpan(1, values.Length - 2).ToArray().Average(),
            (2, >= Quorum) => values[1],
            _ => values.Average(),
        };
    }

    /// <summary>In each run of a group the image's first container counts.</summary>
    private static Dictionary<string, TimeSpan> OffsetsOf(IEnumerable<ReportedTrace> traces) => traces
        .Select(t => t.Trace.Group).OfType<TraceGroup>()
        .GroupBy(g => (g.Name, g.Run))
        .Select(run => (run.Key.Name, Offset: run.Min(g => g.Offset)))
        .GroupBy(run => run.Name, StringComparer.Ordinal)
        .ToDictionary(group => group.Key, group => TimeSpan.FromTicks((long)group.Average(run => (double)run.Offset.Ticks)), StringComparer.Ordinal);

    private readonly record struct Opinion(double Rank, double Ticks, int Traces, bool IsRare);
}
