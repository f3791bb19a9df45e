using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

/// <summary>Whatever happens to a bundle on its way, the reader says so in a typed error and never completes a content wrongly.</summary>
public sealed class BundleDamageTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task Read_WhenCutAtAnyByte_FailsWithTruncatedAndSaysHowMuchCame(int level)
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(level);

        for (int length = 0; length < bundle.Length; length++)
        {
            FailureException failure = await Should.ThrowAsync<FailureException>(() => ReadAsync(bundle[..length]), $"cut at {length}");
            failure.Error.Code.ShouldBe("Bundle.Truncated");
            failure.Error.Kind.ShouldBe(ErrorKind.Unavailable);
            failure.Error.Message.ShouldContain($"after {length} bytes");
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task Read_WhenAnyBitIsFlipped_FailsWithDataCorrupt(int level)
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(level);

        for (int bit = 0; bit < bundle.Length * 8; bit++)
        {
            byte[] damaged = (byte[])bundle.Clone();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            FailureException failure = await Should.ThrowAsync<FailureException>(() => ReadAsync(damaged), $"bit {bit} flipped");

            // A flipped length of a block can also make the rest too short; then asking for the rest shows the damage.
            failure.Error.Code.ShouldBeOneOf("Bundle.NotABundle", "Bundle.Corrupt", "Bundle.Truncated");
            failure.Error.Kind.ShouldBe(failure.Error.Code == "Bundle.Truncated" ? ErrorKind.Unavailable : ErrorKind.DataCorrupt);
        }
    }

    [Fact]
    public async Task Read_WhenABlockIsDamaged_NamesItsOffsetAndKeepsWhatCameBefore()
    {
        SampleBundle sample = SampleBundle.Mixed(files: 40);
        byte[] bundle = await sample.WriteAsync(3);
        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), CancellationToken.None);
        bundle[bundle.Length / 2] ^= 4;
        reader.BindContents(SampleBundle.ReadContents);
        CollectingSink sink = new();

        FailureException failure = await Should.ThrowAsync<FailureException>(() => reader.ReadContentsAsync(sink, CancellationToken.None));

        failure.Error.Code.ShouldBe("Bundle.Corrupt");
        failure.Error.Message.ShouldContain($"offset {reader.Position.Offset}:");
        reader.Position.Offset.ShouldBeInRange(1, bundle.Length / 2);
        sink.Received.ShouldNotBeEmpty();
    }

    [Fact]
    public async Task Read_WhenBytesAreRandom_FailsTyped()
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(3);
        Gen<(int Seed, int From, int Count)> damage =
            from seed in Gen.Choose(0, int.MaxValue - 1)
            from start in Gen.Choose(0, bundle.Length - 1)
            from count in Gen.Choose(1, 40)
            select (seed, start, count);

        Prop.ForAll(damage.ToArbitrary(), d =>
        {
            byte[] damaged = (byte[])bundle.Clone();
            new Random(d.Seed).NextBytes(damaged.AsSpan(d.From, Math.Min(d.Count, damaged.Length - d.From)));
            FailureException? failure = null;
            try
            {
                ReadAsync(damaged).GetAwaiter().GetResult();
            }
            catch (FailureException e)
            {
                failure = e;
            }

            (failure is not null || damaged.AsSpan().SequenceEqual(bundle)).ShouldBeTrue();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
    }

    [Theory]
    [InlineData(8, "format version 3, known is 2")]
    [InlineData(10, "flags")]
    public async Task Open_WhenPreludeIsNewer_SaysToUpdateTheWorker(int offset, string what)
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(3);
        bundle[offset] = 3;
        Forge.PreludeChecksum(bundle);

        FailureException failure = await Should.ThrowAsync<FailureException>(() => ReadAsync(bundle));

        failure.Error.Code.ShouldBe("Bundle.TooNew");
        failure.Error.Kind.ShouldBe(ErrorKind.Unsupported);
        failure.Error.Message.ShouldContain("update the worker");
        failure.Error.Message.ShouldContain(what);
    }

    [Fact]
    public async Task Open_WhenPreludeIsOlder_SaysToUpdateTheProxy()
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(3);
        bundle[8] = 1;
        Forge.PreludeChecksum(bundle);

        FailureException failure = await Should.ThrowAsync<FailureException>(() => ReadAsync(bundle));

        failure.Error.Code.ShouldBe("Bundle.TooOld");
        failure.Error.Kind.ShouldBe(ErrorKind.Unsupported);
        failure.Error.Message.ShouldContain("update the proxy");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(200)]
    public async Task Read_WhenBlockKindIsNewer_SaysToUpdateTheWorker(byte kind)
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(3);
        int block = (await BundleReader.OpenAsync(new MemoryStream(bundle), CancellationToken.None)).HeaderLength;
        bundle[block] = kind;
        Forge.BlockChecksum(bundle, block);

        (await Should.ThrowAsync<FailureException>(() => ReadAsync(bundle))).Error.Code.ShouldBe("Bundle.TooNew");
    }

    [Theory]
    [InlineData(12, "number of images")]
    [InlineData(16, "header length")]
    public async Task Open_WhenPreludeClaimsTooMuch_RefusesBeforeReadingOn(int offset, string what)
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(3);
        bundle[offset + 3] = 0x7f;
        Forge.PreludeChecksum(bundle);

        FailureException failure = await Should.ThrowAsync<FailureException>(() => ReadAsync(bundle));

        failure.Error.Code.ShouldBe("Bundle.TooLarge");
        failure.Error.Message.ShouldContain(what);
    }

    [Theory]
    [InlineData("kind", "Bundle.TooNew")]
    [InlineData("encoding", "Bundle.TooNew")]
    [InlineData("stored length", "Bundle.Corrupt")]
    [InlineData("raw length", "Bundle.Corrupt")]
    [InlineData("bomb", "Bundle.TooLarge")]
    public async Task Open_WhenUnitIsForged_Refuses(string field, string code)
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(3);
        int unit = Prelude.Length;
        switch (field)
        {
            case "kind":
                bundle[unit] = 9;
                break;
            case "encoding":
                bundle[unit + 1] = 7;
                break;
            case "stored length":
                bundle[unit + 6] = 9;
                break;
            case "raw length":
                bundle[unit + 8]++;
                break;
            default:
                bundle[unit + 11] = 0x7f;
                break;
        }

        Forge.HeaderDigest(bundle);

        (await Should.ThrowAsync<FailureException>(() => ReadAsync(bundle))).Error.Code.ShouldBe(code);
    }

    [Fact]
    public void Plan_WhenBytesAreRandom_FailsWithFormatExceptionOnly()
    {
        byte[] payload = PlanUnit.EncodePayload(SampleBundle.Mixed(files: 20).Plan());
        PlanUnit good = PlanUnit.DecodePayload(payload, 3, SampleBundle.Mixed(files: 20).Plan().BlockLengths.Count);
        Gen<(int Seed, int Length)> damage =
            from seed in Gen.Choose(0, int.MaxValue - 1)
            from length in Gen.Choose(0, payload.Length)
            select (seed, length);

        Prop.ForAll(damage.ToArbitrary(), d =>
        {
            Random random = new(d.Seed);
            byte[] bad = payload[..d.Length];
            for (int i = 0; i < 5 && bad.Length > 0; i++)
            {
                bad[random.Next(bad.Length)] = (byte)random.Next(256);
            }

            try
            {
                PlanUnit.DecodePayload(bad, random.Next(4), random.Next(2) == 0 ? good.BlockLengths.Length : random.Next());
            }
            catch (FormatException)
            {
                // The only way out of damaged bytes.
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
    }

    [Fact]
    public async Task BindContents_WhenFilesystemImageSaysOtherwise_FailsWithContentsDisagree()
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(3);

        foreach (int change in (int[])[0, 1, 2])
        {
            BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), CancellationToken.None);
            FailureException failure = Should.Throw<FailureException>(() => reader.BindContents(filesystem =>
            {
                List<Domain.Content.ContentRef> contents = [.. SampleBundle.ReadContents(filesystem)];
                switch (change)
                {
                    case 0:
                        contents.RemoveAt(0);
                        break;
                    case 1:
                        contents[0] = contents[0] with { Size = contents[0].Size + 1 };
                        break;
                    default:
                        contents[0] = contents[1];
                        break;
                }

                return contents;
            }));
            failure.Error.Code.ShouldBe("Bundle.ContentsDisagree");
            failure.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        }
    }

    private static async Task ReadAsync(byte[] bundle)
    {
        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents);
        await reader.ReadContentsAsync(new CollectingSink(), CancellationToken.None);
    }
}
