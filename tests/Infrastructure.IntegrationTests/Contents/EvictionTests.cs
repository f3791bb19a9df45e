using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Contents;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Contents;

public sealed class EvictionTests : IDisposable
{
    private const int Size = 100_000;

    private readonly ScratchDirectory _directory = new();
    private readonly SteppedTime _time = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Intake_WhenLimitIsReached_EvictsTheLeastRecentlyUsed()
    {
        using ContentStore store = Open(limit: 6 * Size);
        ContentRef[] contents = await PutAllAsync(store, 5);
        store.Touch([contents[0]]);
        _time.Step();

        await PutAsync(store, 100);
        await PutAsync(store, 101);

        store.Contains(contents[0].Digest).ShouldBeTrue("it was used lately");
        store.Contains(contents[1].Digest).ShouldBeFalse();
        File.Exists(_directory[$"contents/{contents[1].Digest.ObjectPath}"]).ShouldBeFalse();
        store.Contains(contents[4].Digest).ShouldBeTrue("no more goes than has to");
        store.Usage.Bytes.ShouldBeLessThanOrEqualTo(6 * Size);
        store.Usage.Evicted.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Intake_WhenEverythingIsProtected_GoesBeyondTheLimitAndShrinksAfterwards()
    {
        using ContentStore store = Open(limit: 3 * Size);
        ContentRef early = await PutAsync(store, 1);
        _time.Step();
        IDisposable bundle = store.Protect();
        ContentRef[] needed = await PutAllAsync(store, 6);

        needed.ShouldAllBe(c => store.Contains(c.Digest));
        store.Contains(early.Digest).ShouldBeFalse("it is no part of the bundle");
        store.Usage.Bytes.ShouldBeGreaterThan(3 * Size);
        bundle.Dispose();

        store.Usage.Bytes.ShouldBeLessThanOrEqualTo(3 * Size);
        store.Contains(needed[^1].Digest).ShouldBeTrue();
    }

    [Fact]
    public async Task Touch_UnderProtection_KeepsWhatWasThereBefore()
    {
        using ContentStore store = Open(limit: 4 * Size);
        ContentRef[] contents = await PutAllAsync(store, 3);
        using IDisposable bundle = store.Protect();
        store.Touch([contents[0]]);

        await PutAsync(store, 50);
        await PutAsync(store, 51);
        await PutAsync(store, 52);

        store.Contains(contents[0].Digest).ShouldBeTrue();
        store.Contains(contents[1].Digest).ShouldBeFalse();
    }

    [Fact]
    public async Task Open_RemembersWhatWasUsedAndHoldsTheLimit()
    {
        ContentRef[] contents;
        using (ContentStore store = Open(limit: long.MaxValue))
        {
            contents = await PutAllAsync(store, 5);
            _time.Step(TimeSpan.FromHours(2));
            store.Touch([contents[0], contents[1]]);
        }

        using ContentStore again = Open(limit: 3 * Size);
        (long count, _) = again.Settle();

        count.ShouldBe(3);
        again.Contains(contents[0].Digest).ShouldBeTrue();
        again.Contains(contents[1].Digest).ShouldBeTrue();
        again.Contains(contents[4].Digest).ShouldBeFalse();
    }

    [Fact]
    public async Task Sweep_RemovesWhatIsNotKeptAndOldEnough()
    {
        using ContentStore store = Open(limit: long.MaxValue);
        ContentRef kept = await PutAsync(store, 1);
        ContentRef unused = await PutAsync(store, 2);
        _time.Step(TimeSpan.FromHours(2));
        ContentRef recent = await PutAsync(store, 3);
        IContentSweep sweep = store.BeginSweep();
        sweep.Keep(kept.Digest);
        sweep.Keep(Digest.Empty);
        ContentRef arriving = await PutAsync(store, 4);

        (long count, long bytes) = sweep.Remove(_time.GetUtcNow() - TimeSpan.FromHours(1));

        count.ShouldBe(1);
        bytes.ShouldBe(98_304, "24 blocks");
        store.Contains(unused.Digest).ShouldBeFalse();
        new[] { kept, recent, arriving }.ShouldAllBe(c => store.Contains(c.Digest));
        store.BeginSweep().Remove(_time.GetUtcNow() + TimeSpan.FromHours(1)).Count.ShouldBe(3);
        store.Usage.ShouldBe(new StoreUsage(0, 0, long.MaxValue, 0));
    }

    [Fact]
    public async Task OpenIntake_WhenOnlySomeAreWanted_KeepsThose()
    {
        using ContentStore store = Open(limit: long.MaxValue);
        byte[][] all = [Noise(1, 500), Noise(2, 500), Noise(3, 2_000_000), Noise(4, 2_000_000), Noise(5, 3_000_000)];
        await using IContentIntake intake = store.OpenIntake([new ContentRef(Digest.Of(all[1]), 500), new ContentRef(Digest.Of(all[3]), 2_000_000)]);

        foreach (byte[] bytes in all)
        {
            await intake.BeginAsync(bytes.Length, CancellationToken.None);
            await intake.WriteAsync(bytes, CancellationToken.None);
            await intake.CompleteAsync(Digest.Of(bytes), CancellationToken.None);
        }

        intake.Added.ShouldBe((2, 2_000_500));
        all.Select(b => store.Contains(Digest.Of(b))).ShouldBe([false, true, false, true, false]);
        Directory.GetFiles(_directory["contents/tmp"]).ShouldBeEmpty();
    }

    private static byte[] Noise(int seed, int size)
    {
        byte[] bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static async Task<ContentRef> PutAsync(ContentStore store, int seed)
    {
        byte[] bytes = Noise(seed, Size - 5000);
        await using IContentIntake intake = store.OpenIntake();
        await intake.BeginAsync(bytes.Length, CancellationToken.None);
        await intake.WriteAsync(bytes, CancellationToken.None);
        await intake.CompleteAsync(Digest.Of(bytes), CancellationToken.None);
        return new ContentRef(Digest.Of(bytes), bytes.Length);
    }

    /// <summary>Each a little later than the one before.</summary>
    private async Task<ContentRef[]> PutAllAsync(ContentStore store, int count)
    {
        List<ContentRef> contents = [];
        for (int i = 0; i < count; i++)
        {
            contents.Add(await PutAsync(store, 1000 + i));
            _time.Step();
        }

        return [.. contents];
    }

    private ContentStore Open(long limit) => new(_directory["contents"], limit, _time);

    private sealed class SteppedTime : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UtcNow;

        public override DateTimeOffset GetUtcNow() => _now;

        public void Step(TimeSpan? by = null) => _now += by ?? TimeSpan.FromSeconds(1);
    }
}
