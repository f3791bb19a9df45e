using FsCheck;
using FsCheck.Fluent;
using Starlight.Infrastructure.Bundles.Patches;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

public sealed class PatchPayloadTests
{
    [Fact]
    public void Apply_WhateverWasEncoded_GivesTheNewBytes() => Prop.ForAll(Gen.Choose(0, int.MaxValue - 1).ToArbitrary(), seed =>
    {
        Random random = new(seed);
        byte[][] old = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => PatchSample.Code(random, random.Next(1, 30_000)))];
        byte[][] now = [.. old.Select(o => PatchSample.Edit(random, o)), PatchSample.Code(random, random.Next(1, 500))];
        byte[] fresh = [.. now.SelectMany(n => n)];
        List<FreshPart> parts = [.. now.Select((n, i) => new FreshPart(n.Length, 0, i < old.Length ? new BaseWindow(old[i], 0) : null))];

        byte[]? payload = PatchPayload.Encode(fresh, parts);

        if (payload is not null)
        {
            byte[] made = new byte[fresh.Length];
            PatchPayload.Apply(payload, [.. now.Select((n, i) => new PatchPart(n.Length, 0, i < old.Length ? new MemoryPatchSource(old[i]) : null))], made);
            made.ShouldBe(fresh);
            payload.Length.ShouldBeLessThanOrEqualTo(fresh.Length);
        }
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    [Fact]
    public void Encode_WhenAddressesInCodeMoved_IsAFewPercent()
    {
        Random random = new(1);
        byte[] old = PatchSample.Code(random, 500_000);
        byte[] now = [.. old[..200_000], .. PatchSample.Code(random, 300), .. old[200_000..]];
        for (int i = 40; i < now.Length; i += 40)
        {
            now[i] += 44;
        }

        byte[] payload = PatchPayload.Encode(now, [new FreshPart(now.Length, 0, new BaseWindow(old, 0))]).ShouldNotBeNull();

        // a gap and a difference for each changed byte, the inserted ones, and little else
        payload.Length.ShouldBeInRange(2 * (now.Length / 40), (2 * (now.Length / 40)) + 600);
    }

    [Fact]
    public void Encode_WhenAWindowLiesInTheMiddle_PointsIntoTheWholeContent()
    {
        Random random = new(2);
        byte[] old = PatchSample.Code(random, 300_000);
        byte[] piece = old[150_123..180_000];

        byte[] payload = PatchPayload.Encode(piece, [new FreshPart(piece.Length, 160_000, new BaseWindow(old.AsMemory(100_000, 100_000), 100_000))]).ShouldNotBeNull();
        byte[] made = new byte[piece.Length];
        PatchPayload.Apply(payload, [new PatchPart(piece.Length, 160_000, new MemoryPatchSource(old))], made);

        made.ShouldBe(piece);
        payload.Length.ShouldBeLessThan(20);
    }

    [Fact]
    public void Encode_WhenNothingIsAlike_GivesUp() =>
        PatchPayload.Encode(PatchSample.Noise(new Random(3), 10_000), [new FreshPart(10_000, 0, new BaseWindow(PatchSample.Noise(new Random(4), 10_000), 0))]).ShouldBeNull();

    [Fact]
    public void Apply_WhenBytesAreRandom_FailsWithFormatExceptionOnly()
    {
        Random setup = new(5);
        byte[] old = PatchSample.Code(setup, 5000);
        byte[] now = PatchSample.Edit(setup, old);
        byte[] payload = PatchPayload.Encode(now, [new FreshPart(now.Length, 0, new BaseWindow(old, 0))]).ShouldNotBeNull();

        Prop.ForAll(Gen.Choose(0, int.MaxValue - 1).ToArbitrary(), seed =>
        {
            Random random = new(seed);
            byte[] bad = payload[..random.Next(payload.Length + 1)];
            for (int i = random.Next(5); i > 0 && bad.Length > 0; i--)
            {
                bad[random.Next(bad.Length)] = (byte)random.Next(256);
            }

            try
            {
                int split = random.Next(1, now.Length);
                PatchPart[] parts = [new(split, random.Next(6000), new MemoryPatchSource(old)), new(now.Length - split, 0, random.Next(2) == 0 ? null : new MemoryPatchSource(old))];
                PatchPayload.Apply(bad, parts, new byte[now.Length]);
            }
            catch (FormatException)
            {
                // The only way out of damaged bytes.
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
    }
}
