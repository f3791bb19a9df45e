using System.Buffers.Binary;
using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;

namespace Starlight.Domain.UnitTests.Bundles;

public sealed partial class DeltaPlannerTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(30);

    [Fact]
    public void Plan_WhenWorkerHasNothing_SendsEachContentOnceInOrder()
    {
        OrderedImage image = Ordered([C(1, 10), C(2, 20), C(3, 30)], [D(3), D(1)]);

        DeltaPlan plan = DeltaPlanner.Plan([image], []);

        plan.Contents.ShouldBe([new(C(3, 30), 0, 2), new(C(1, 10), 0, 0), new(C(2, 20), 0, 1)]);
        plan.BlockLengths.ShouldBe([60]);
        plan.RawLength.ShouldBe(60);
    }

    [Fact]
    public void Plan_WhenWorkerHasContents_LeavesThemOut()
    {
        OrderedImage image = Ordered([C(1, 10), C(2, 20), C(3, 30)], []);

        DeltaPlan plan = DeltaPlanner.Plan([image], [[C(2, 20), C(9, 9)], [C(3, 30)]]);

        plan.Contents.ShouldBe([new(C(1, 10), 0, 0)]);
    }

    [Fact]
    public void Plan_WhenWorkerHasEverything_IsEmpty()
    {
        OrderedImage image = Ordered([C(1, 10)], [D(1)], 1);

        DeltaPlan plan = DeltaPlanner.Plan([image], [image.Contents]);

        plan.Contents.ShouldBeEmpty();
        plan.BlockLengths.ShouldBeEmpty();
        plan.RawLength.ShouldBe(0);
        plan.HotContentCount.ShouldBe(0);
    }

    [Fact]
    public void Plan_WhenItIsKnownWhenContentsAreOpened_SendsHotContentsOfAllImagesByTime()
    {
        // the second starts 100 µs after the first; both open 5; the last of the first is opened before the one ahead of it, which its own order forbids
        OrderedImage first = Ordered([C(1, 10), C(2, 20_000), C(3, 30), C(5, 50), C(8, 80)], [D(1), D(5), D(2), D(3)], 4) with { Moments = [0, 150, 300, 200] };
        OrderedImage second = Ordered([C(4, 40), C(5, 50), C(6, 60), C(7, 70)], [D(4), D(5), D(6)], 3) with { Moments = [100, 110, 350] };

        DeltaPlan plan = DeltaPlanner.Plan([first, second], [[C(6, 60)]]);

        plan.Contents.Take(plan.HotContentCount).Select(c => c.Content.Digest).ShouldBe([D(1), D(4), D(5), D(2), D(3)]);
        plan.Contents.Skip(plan.HotContentCount).Select(c => c.Content.Digest).ShouldBe([D(8), D(7)], ignoreOrder: true);
    }

    [Fact]
    public void Plan_WhenItIsNotKnownOfAllImages_SharesTheLineByBytes()
    {
        OrderedImage first = Ordered([C(1, 10), C(2, 20)], [D(1), D(2)], 2) with { Moments = [0, 1] };
        OrderedImage second = Ordered([C(3, 30), C(4, 40)], [D(3), D(4)], 2);

        DeltaPlanner.Plan([first, second], []).Contents.Select(c => c.Content.Digest).ShouldBe([D(1), D(3), D(2), D(4)]);
    }

    [Fact]
    public void Plan_WhenOrderNamesSomeContentsTwiceAndOthersNot_SendsEachOnce()
    {
        OrderedImage image = Ordered([C(1, 10), C(2, 20)], [D(2), D(2)]);

        DeltaPlanner.Plan([image], []).Contents.Select(c => c.Content.Digest).ShouldBe([D(2), D(1)]);
    }

    [Fact]
    public void Plan_WhenImagesShareContents_SendsThemOnceUnderTheFirst()
    {
        OrderedImage a = Ordered([C(1, 10), C(2, 20)], []);
        OrderedImage b = Ordered([C(2, 20), C(3, 30)], []);

        DeltaPlanner.Plan([a, b], []).Contents.ShouldBe([new(C(1, 10), 0, 0), new(C(2, 20), 0, 1), new(C(3, 30), 1, 1)], ignoreOrder: true);
    }

    [Fact]
    public void Plan_WhenSeveralImages_SharesTheLineByBytesAndHotContentsComeFirst()
    {
        OrderedImage a = Ordered([C(1, 100), C(2, 100), C(3, 100)], [D(1), D(2)], 2);
        OrderedImage b = Ordered([C(4, 30), C(5, 30), C(6, 30), C(7, 30)], [D(4), D(5), D(6)], 3);

        DeltaPlan plan = DeltaPlanner.Plan([a, b], []);

        plan.Contents.Select(c => c.Content.Digest).ShouldBe([D(1), D(4), D(5), D(6), D(2), D(3), D(7)]);
        plan.HotContentCount.ShouldBe(5);
        plan.HotBlockCount.ShouldBe(1);
        plan.BlockLengths.ShouldBe([290, 130]);
    }

    [Fact]
    public void Plan_WhenContentIsLarge_CutsItIntoEqualPiecesOfItsOwn()
    {
        const int max = DeltaPlan.MaxBlockLength;
        OrderedImage image = Ordered([C(1, 5), C(2, max + 1), C(3, 5), C(4, max)], []);

        DeltaPlanner.Plan([image], []).BlockLengths.ShouldBe([5, (max / 2) + 1, max / 2, 5, max]);
    }

    [Fact]
    public void Plan_WhenContentsAreSmall_GrowsBlocksFromFirstTargetToMaximum()
    {
        OrderedImage image = Ordered([.. Enumerable.Range(0, 20_000).Select(i => C(i, 1024))], []);

        IReadOnlyList<int> lengths = DeltaPlanner.Plan([image], []).BlockLengths;

        lengths.Take(8).ShouldAllBe(l => l == DeltaPlan.FirstBlockLength);
        lengths[8].ShouldBe(2 * DeltaPlan.FirstBlockLength);
        lengths.Max().ShouldBe(DeltaPlan.MaxBlockLength);
    }

    [Fact]
    public void Plan_WhenSizesAreImpossible_Refuses()
    {
        Should.Throw<ArgumentException>(() => DeltaPlanner.Plan([new OrderedImage([C(1, 0)], [])], []));
        Should.Throw<ArgumentException>(() => DeltaPlanner.Plan([new OrderedImage([C(1, 1)], []), new OrderedImage([C(1, 2)], [])], []));
        Should.Throw<ArgumentException>(() => DeltaPlanner.Plan([new OrderedImage([C(1, 1), C(1, 2)], [])], [[]]));
    }

    [Fact]
    public void Plan_Always_SendsExactlyWhatIsMissingAndPartitionsIt()
    {
        Gen<(int Seed, int Images, int Universe)> questions =
            from seed in Gen.Choose(0, int.MaxValue - 1)
            from images in Gen.Choose(0, 3)
            from universe in Gen.Choose(1, 60)
            select (seed, images, universe);

        Prop.ForAll(questions.ToArbitrary(), question =>
        {
            Random random = new(question.Seed);
            List<OrderedImage> images = [.. Enumerable.Range(0, question.Images).Select(_ =>
            {
                ContentRef[] contents = Pick(random, question.Universe);
                Digest[] order = [.. Pick(random, question.Universe).Select(c => c.Digest)];
                random.Shuffle(order);
                return Ordered(contents, order, random.Next(0, order.Length + 1));
            })];
            ContentRef[][] have = [.. Enumerable.Range(0, random.Next(0, 3)).Select(_ => Pick(random, question.Universe))];

            DeltaPlan plan = DeltaPlanner.Plan(images, have);

            HashSet<Digest> missing = [.. images.SelectMany(i => i.Contents).Select(c => c.Digest)];
            missing.ExceptWith(have.SelectMany(h => h).Select(c => c.Digest));
            plan.Contents.Select(c => c.Content.Digest).ShouldBe(missing, ignoreOrder: true);
            plan.Contents.ShouldAllBe(c => images[c.Image].Contents[c.Index] == c.Content);
            plan.RawLength.ShouldBe(plan.Contents.Sum(c => c.Content.Size));
            plan.BlockLengths.Sum(l => (long)l).ShouldBe(plan.RawLength);
            plan.BlockLengths.ShouldAllBe(l => l > 0 && l <= DeltaPlan.MaxBlockLength);
            plan.BlockLengths.Take(plan.HotBlockCount).Sum(l => (long)l).ShouldBe(plan.Contents.Take(plan.HotContentCount).Sum(c => c.Content.Size));

            DeltaPlan again = DeltaPlanner.Plan(images, have);
            again.Contents.ShouldBe(plan.Contents);
            again.BlockLengths.ShouldBe(plan.BlockLengths);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Plan_WhenImageHasFiftyThousandFiles_TakesNoMoreThanThirtyMilliseconds()
    {
        ContentRef[] contents = [.. Enumerable.Range(0, 50_000).Select(i => C(i, 1 + (i * 7919L % 50_000)))];
        Digest[] order = [.. contents.Where((_, i) => i % 20 == 0).Select(c => c.Digest)];
        OrderedImage image = Ordered(contents, order, order.Length);
        IReadOnlyList<ContentRef>[] have = [[.. contents.Where((_, i) => i % 10 != 0)]];

        // Processor time of this thread, best of up to fifty: what else the machine does, and the JIT's first runs, do not count.
        TimeSpan best = TimeSpan.MaxValue;
        for (int i = 0; i < 50 && best > Limit; i++)
        {
            TimeSpan start = ThreadTime();
            DeltaPlanner.Plan([image], have);
            TimeSpan run = ThreadTime() - start;
            best = run < best ? run : best;
        }

        best.ShouldBeLessThanOrEqualTo(Limit);
    }

    private static TimeSpan ThreadTime()
    {
        const int clockThreadCpuTime = 3; // CLOCK_THREAD_CPUTIME_ID, clock_gettime(2)
        nint[] time = new nint[2]; // struct timespec: seconds, nanoseconds
        ClockGetTime(clockThreadCpuTime, time).ShouldBe(0);
        return TimeSpan.FromSeconds(time[0]) + TimeSpan.FromMicroseconds(time[1] / 1000.0);
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int ClockGetTime(int clock, [Out] nint[] time);

    /// <summary>Of the order only what the image has.</summary>
    private static OrderedImage Ordered(IReadOnlyList<ContentRef> contents, Digest[] order, int hotCount = 0)
    {
        Dictionary<Digest, int> positions = contents.Select((c, i) => (c.Digest, Index: i)).ToDictionary(c => c.Digest, c => c.Index);
        return new OrderedImage(contents, [.. order.Where(positions.ContainsKey).Select(d => positions[d])], hotCount);
    }

    private static Digest D(int number)
    {
        byte[] raw = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(raw, number);
        return Digest.Of(raw);
    }

    private static ContentRef C(int number, long size) => new(D(number), size);

    private static ContentRef[] Pick(Random random, int universe) =>
        [.. Enumerable.Range(0, universe).Where(_ => random.Next(2) == 0).Select(i => C(i, 1 + (i * 40_009L % 3_000_000)))];
}
