using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;

namespace Starlight.Domain.UnitTests.Ordering;

public class TraceMergeTests
{
    private static readonly DateTimeOffset Now = new(2026, 5, 6, 7, 8, 9, TimeSpan.Zero);

    [Fact]
    public void Merge_WhenThereIsNoTrace_KnowsNothing() => TraceMerge.Merge([]).ShouldBe(LearnedOrder.None);

    [Fact]
    public void Merge_OfOneTrace_IsItsOrder()
    {
        LearnedOrder learned = TraceMerge.Merge([Seen("ldcba")]);

        Text(learned).ShouldBe("ldcba");
        learned.Traces.ShouldBe(1);
        learned.Contents.Select(c => c.Rank).ShouldBe([0, 1, 2, 3, 4]);
        learned.Contents.ShouldAllBe(c => c.Traces == 1 && !c.IsRare);
    }

    [Fact]
    public void Merge_OfTwoTraces_AveragesOverThoseThatOpenedIt()
    {
        // a: (0+1)/2, b: (1+0)/2, c: 2 in one
        LearnedOrder learned = TraceMerge.Merge([Seen("abc", worker: "1"), Seen("bax", worker: "2")]);

        learned.Contents.Where(c => c.Content == D('a') || c.Content == D('b')).ShouldAllBe(c => c.Rank == 0.5 && c.Traces == 2);
        learned.Contents.Skip(2).ShouldAllBe(c => c.Rank == 2 && c.Traces == 1);
    }

    [Fact]
    public void Merge_WhenRanksTie_TakesWhatMoreTracesOpenedFirst()
    {
        // both at position 1: m in two traces, a in one, whose digest may be smaller or larger
        foreach (char alone in "abcdefgh")
        {
            LearnedOrder learned = TraceMerge.Merge([Seen("sm", worker: "1"), Seen("sm", worker: "2"), Seen($"s{alone}", worker: "2", daysAgo: 1)]);
            learned.Contents.Count(c => c.Rank == 1).ShouldBe(2);
            Text(learned)[..2].ShouldBe("sm");
        }
    }

    [Fact]
    public void Merge_WhenAWorkerReportsMore_DoesNotCountMore()
    {
        ReportedTrace[] traces = [Seen("ab", worker: "1"), .. Enumerable.Range(0, 50).Select(i => Seen("ba", worker: "2", daysAgo: i))];

        LearnedOrder learned = TraceMerge.Merge(traces);

        learned.Contents.ShouldAllBe(c => c.Rank == 0.5);
        learned.Traces.ShouldBe(1 + TraceMerge.MaxTracesOfWorker);
    }

    [Fact]
    public void Merge_OfManyTracesOfOneWorker_FollowsTheNewest()
    {
        ReportedTrace[] traces = [.. Enumerable.Range(0, TraceMerge.MaxTracesOfWorker).Select(i => Seen("new", daysAgo: i)), .. Enumerable.Range(100, 50).Select(i => Seen("old", daysAgo: i))];

        Text(TraceMerge.Merge(traces)).ShouldBe("new");
    }

    [Fact]
    public void Merge_WhenATraceComesTwice_CountsItOnce()
    {
        ReportedTrace once = Seen("ab");

        TraceMerge.Merge([once, once]).Traces.ShouldBe(1);
    }

    [Fact]
    public void Merge_WhenOneOfManyOpensEverythingElseFirst_PutsThatLast()
    {
        LearnedOrder learned = TraceMerge.Merge([Seen("abc", worker: "1"), Seen("abc", worker: "2"), Seen("abc", worker: "3"), Seen("zyxwvcba", worker: "broken")]);

        Text(learned).ShouldBe("abczyxwv");
        learned.Contents.Skip(3).ShouldAllBe(c => c.IsRare);
    }

    [Fact]
    public void Merge_WhenAWorkerWaited_CountsTheTimeWithoutTheWaits()
    {
        Trace trace = Trace.Create(
            Guid.NewGuid(),
            D('i'),
            TraceSource.Online,
            null,
            Now,
            [new FirstOpen(D('a'), TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(500)), new FirstOpen(D('b'), TimeSpan.FromMilliseconds(515), TimeSpan.Zero)],
            Now).Value;

        TraceMerge.Merge([new ReportedTrace("", "w", trace)]).Contents.Select(c => c.At.TotalMilliseconds).ShouldBe([10, 15]);
    }

    [Fact]
    public void Merge_OfAGroup_KnowsWhenTheImageStartsInIt()
    {
        (Guid first, Guid second) = (Guid.NewGuid(), Guid.NewGuid());

        // started twice in the first run: the first start counts
        LearnedOrder learned = TraceMerge.Merge([Seen("a", run: first, offset: 2), Seen("a", run: first, offset: 600), Seen("a", run: second, offset: 4)]);

        learned.Groups.ShouldHaveSingleItem().ShouldBe(new KeyValuePair<string, TimeSpan>("shop", TimeSpan.FromSeconds(3)));
    }

    /// <summary>Whatever a fourth worker says about a start that three honest ones agree to have happened.</summary>
    [Fact]
    public void Merge_WhateverOneOfFourSays_KeepsWhatTheOthersOpenedInFrontAndWithinTheirRanks() => Prop.ForAll(
        (from honest in Gen.ArrayOf(Gen.Shuffle("abcdefgh".ToCharArray()), 3)
         from hostile in Gen.Shuffle("abcdefghABCDEFGHIJ".ToCharArray())
         from length in Gen.Choose(1, 18)
         select (Honest: honest, Hostile: new string(hostile[..length]))).ToArbitrary(),
        sample =>
        {
            ReportedTrace[] traces = [.. sample.Honest.Select((opens, i) => Seen(new string([.. opens]), worker: $"{i}")), Seen(sample.Hostile, worker: "hostile")];
            LearnedOrder learned = TraceMerge.Merge(traces);
            Text(learned)[..8].Order().ShouldBe("abcdefgh");
            foreach (LearnedContent content in learned.Contents.Take(8))
            {
                int[] ranks = [.. sample.Honest.Select(opens => Array.FindIndex([.. opens], c => D(c) == content.Content))];
                content.Rank.ShouldBeInRange(ranks.Min(), ranks.Max());
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Merge_InWhateverOrderTracesCome_GivesTheSame() => Prop.ForAll(
        (from opens in Gen.NonEmptyListOf(from all in Gen.Shuffle("abcdefghijkl".ToCharArray()) from length in Gen.Choose(1, 12) select new string(all[..length]))
         from shuffled in Gen.Shuffle(Enumerable.Range(0, opens.Count).ToArray())
         select (Opens: opens, Shuffled: shuffled)).ToArbitrary(),
        sample =>
        {
            ReportedTrace[] traces = [.. sample.Opens.Select((o, i) => Seen(o, account: $"{i % 2}", worker: $"{i % 5}", daysAgo: i))];
            TraceMerge.Merge([.. sample.Shuffled.Select(i => traces[i])]).Contents.ShouldBe(TraceMerge.Merge(traces).Contents);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Merge_OfAnyTraces_HoldsEachOpenedContentOnce() => Prop.ForAll(
        Gen.NonEmptyListOf(from all in Gen.Shuffle("abcdefghijkl".ToCharArray()) from length in Gen.Choose(1, 12) select new string(all[..length])).ToArbitrary(),
        opens =>
        {
            LearnedOrder learned = TraceMerge.Merge([.. opens.Select((o, i) => Seen(o, worker: $"{i}"))]);
            learned.Contents.Select(c => c.Content).Order().ShouldBe(opens.SelectMany(o => o).Distinct().Select(D).Order());
        }).QuickCheckThrowOnFailure();

    private static ReportedTrace Seen(string opens, string account = "", string worker = "w", int daysAgo = 0, Guid? run = null, int offset = 0) => new(
        account,
        worker,
        Trace.Create(
            Guid.NewGuid(),
            D('i'),
            TraceSource.Optimizer,
            run is { } known ? new TraceGroup("shop", known, TimeSpan.FromSeconds(offset)) : null,
            Now.AddDays(-daysAgo),
            [.. opens.Select((c, i) => new FirstOpen(D(c), TimeSpan.FromMilliseconds(i), TimeSpan.Zero))],
            Now).Value);

    private static Digest D(char name) => Digest.Of([(byte)name]);

    private static string Text(LearnedOrder learned) => new([.. learned.Contents.Select(c => (char)Enumerable.Range(32, 95).Single(n => D((char)n) == c.Content))]);
}
