using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Bundles.Patches;
using Starlight.Infrastructure.Compression;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

/// <summary>Updates told as what differs from what the worker has.</summary>
public sealed class BundlePatchTests
{
    [Fact]
    public async Task Read_WhenContentsChanged_MakesThemFromTheOldOnes()
    {
        Random random = new(1);
        byte[] library = PatchSample.Code(random, 3_000_000);
        byte[] program = PatchSample.Code(random, 700_000);
        using PatchSample sample = new(
            ("library", library, [.. library[..1_000_000], .. PatchSample.Code(random, 5_000), .. library[1_000_000..]]),
            ("program", program, PatchSample.Edit(random, program)),
            ("fresh", null, PatchSample.Code(random, 9_000)),
            ("text", "old configuration\n"u8.ToArray(), "new configuration\n"u8.ToArray()),
            ("same", PatchSample.Code(new Random(9), 4_000), PatchSample.Code(new Random(9), 4_000)));
        byte[] bundle = await sample.WriteAsync(3);

        (CollectingSink sink, BundleReader reader) = await sample.ReadAsync(bundle);

        sink.Received.ShouldBe(sample.Plan(patches: true).Contents.Select(c => c.Content));
        sink.Received.Count.ShouldBe(4);
        reader.IsComplete.ShouldBeTrue();
        bundle.Length.ShouldBeLessThan(30_000);
        (await sample.WriteAsync(3, patches: false)).Length.ShouldBeGreaterThan(1_000_000);
    }

    [Fact]
    public async Task Read_WhenALargeContentGrewInTheMiddleAndLostItsBeginning_IsPatchedPieceByPiece()
    {
        Random random = new(2);
        byte[] old = PatchSample.Code(random, (3 * WindowedBase.WindowLength) + 12_345);
        byte[] now = [.. old[3_000_000..15_000_000], .. PatchSample.Code(random, 300_000), .. old[15_000_000..]];
        using PatchSample sample = new(("modules", old, now));
        byte[] bundle = await sample.WriteAsync(1);

        (CollectingSink sink, _) = await sample.ReadAsync(bundle);

        sink.Received.ShouldBe([new ContentRef(Digest.Of(now), now.Length)]);
        sink.Pieces.ShouldBe(sample.Plan(patches: true).BlockLengths.Count);
        bundle.Length.ShouldBeLessThan(400_000);
        sample.Leftovers.ShouldBeEmpty();
    }

    [Fact]
    public async Task Write_WhenPatchesAreNotSmaller_SendsTheContentsThemselves()
    {
        Random random = new(3);
        using PatchSample sample = new(
            ("noise", PatchSample.Noise(random, 100_000), PatchSample.Noise(random, 100_000)), ("zeros", PatchSample.Noise(random, 50_000), new byte[200_000]));
        byte[] with = await sample.WriteAsync(3);
        byte[] without = await sample.WriteAsync(3, patches: false);

        int header = (await BundleReader.OpenAsync(new MemoryStream(with), CancellationToken.None)).HeaderLength;
        int plainHeader = (await BundleReader.OpenAsync(new MemoryStream(without), CancellationToken.None)).HeaderLength;

        sample.Plan(patches: true).Patches.Count.ShouldBe(2);
        with.AsSpan(header..^sizeof(long)).Slice(0, without.Length - plainHeader - BlockRecord.TrailerLength).ToArray()
            .ShouldBe(without[plainHeader..^BlockRecord.TrailerLength]);
        (header - plainHeader).ShouldBeLessThan(48);
    }

    [Fact]
    public async Task Write_WhenDoneTwice_GivesTheSameBytes()
    {
        Random random = new(4);
        byte[] old = PatchSample.Code(random, WindowedBase.WindowLength + 2_000_000);
        using PatchSample sample = new(("a", old, PatchSample.Edit(random, old)), ("b", PatchSample.Code(random, 90_000), PatchSample.Code(random, 91_000)));

        byte[][] bundles = [await sample.WriteAsync(3), await sample.WriteAsync(3)];

        bundles[0].ShouldBe(bundles[1]);
    }

    [Fact]
    public async Task Identity_WhenPatchesAreAllowed_IsAnother()
    {
        byte[] old = PatchSample.Code(new Random(5), 5_000);
        using PatchSample sample = new(("a", old, PatchSample.Edit(new Random(6), old)));
        await Task.CompletedTask;

        BundleIdentity.Of(sample.Now.Units(3), sample.Plan(patches: true), 3).ShouldNotBe(BundleIdentity.Of(sample.Now.Units(3), sample.Plan(patches: false), 3));
    }

    [Theory]
    [InlineData("damaged")]
    [InlineData("shorter")]
    [InlineData("gone")]
    public async Task Read_WhenTheOldContentIsDamaged_SaysSoAndHandsOutNothingWrong(string what)
    {
        Random random = new(7);
        byte[] old = PatchSample.Code(random, 2_500_000);
        using PatchSample sample = new(("a", old, PatchSample.Edit(random, old)));
        byte[] bundle = await sample.WriteAsync(3);
        string path = sample.PathOf(old);
        switch (what)
        {
            case "damaged":
                byte[] bad = [.. old];
                bad[2_400_000] ^= 1;
                await File.WriteAllBytesAsync(path, bad);
                break;
            case "shorter":
                await File.WriteAllBytesAsync(path, old[..1_000_000]);
                break;
            default:
                File.Delete(path);
                break;
        }

        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), sample, CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents);
        VerifyingSink sink = new();
        FailureException failure = await Should.ThrowAsync<FailureException>(() => reader.ReadContentsAsync(sink, CancellationToken.None));

        failure.Error.Code.ShouldBe("Bundle.BaseDamaged");
        failure.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        failure.Error.Message.ShouldContain(Digest.Of(old).Hex);
        sink.Stored.ShouldBe(0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Open_WhenTheOldImageIsNotHere_SaysThatTheBaseIsIncomplete(bool patchedUnit)
    {
        byte[] old = PatchSample.Code(new Random(8), 5_000);
        using PatchSample sample = new([("a", old, PatchSample.Edit(new Random(9), old)), .. Many()]);
        byte[] bundle = await sample.WriteAsync(3, patchedUnit: patchedUnit);
        sample.HasImage = false;

        FailureException failure = await Should.ThrowAsync<FailureException>(() => sample.ReadAsync(bundle));

        failure.Error.Code.ShouldBe("Bundle.BaseIncomplete");
        failure.Error.Kind.ShouldBe(ErrorKind.FailedPrecondition);
    }

    [Fact]
    public async Task Read_WhenTheFilesystemImageIsPatched_IsTheSameImage()
    {
        byte[] old = PatchSample.Code(new Random(10), 5_000);
        using PatchSample sample = new([("a", old, PatchSample.Edit(new Random(11), old)), .. Many()]);
        byte[] whole = await sample.WriteAsync(3);
        byte[] patched = await sample.WriteAsync(3, patchedUnit: true);

        (_, BundleReader reader) = await sample.ReadAsync(patched);

        reader.Images[0].FilesystemImage.ToArray().ShouldBe(sample.Now.Images[0].FilesystemImage.ToArray());
        reader.Images[0].Manifest.ToArray().ShouldBe(sample.Now.Images[0].Manifest.ToArray());
        patched.Length.ShouldBeLessThan(whole.Length / 4);
    }

    [Fact]
    public async Task Read_WhenAnyBitIsFlippedOrItIsCut_FailsTyped()
    {
        byte[] old = PatchSample.Code(new Random(12), 2_000);
        using PatchSample sample = new([("a", old, [.. old[..1000], .. "new"u8, .. old[1000..]]), .. Many().Take(30)]);
        byte[] bundle = await sample.WriteAsync(3, patchedUnit: true);

        for (int bit = 0; bit < bundle.Length * 8; bit += 3)
        {
            byte[] damaged = [.. bundle];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            (await Should.ThrowAsync<FailureException>(() => sample.ReadAsync(damaged), $"bit {bit} flipped")).Error.Code
                .ShouldBeOneOf("Bundle.NotABundle", "Bundle.Corrupt", "Bundle.Truncated");
        }

        for (int length = 0; length < bundle.Length; length++)
        {
            (await Should.ThrowAsync<FailureException>(() => sample.ReadAsync(bundle[..length]), $"cut at {length}")).Error.Code.ShouldBe("Bundle.Truncated");
        }
    }

    [Fact]
    public async Task Resume_WhenTheStreamBreaksInAPatchedContent_GoesOnAtTheBlock()
    {
        Random random = new(13);
        byte[] old = PatchSample.Code(random, 4_000_000);
        byte[] now = PatchSample.Edit(random, old);
        using PatchSample sample = new(("a", old, now));
        byte[] bundle = await sample.WriteAsync(3);
        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), sample, CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents);
        CollectingSink sink = new();

        for (int step = 1; !reader.IsComplete; step += 40)
        {
            int from = (int)reader.Position.Offset;
            reader.Resume(new MemoryStream(bundle, from, Math.Min(bundle.Length - from, step)));
            try
            {
                await reader.ReadContentsAsync(sink, CancellationToken.None);
            }
            catch (FailureException e) when (e.Error.Code == "Bundle.Truncated")
            {
                // goes on where it broke
            }
        }

        sink.Received.ShouldBe([new ContentRef(Digest.Of(now), now.Length)]);
    }

    [Fact]
    public async Task Write_WhenPatched_GivesTheGoldenBytesWithTheSameLibrary()
    {
        byte[] old = [.. Enumerable.Range(0, 600).Select(i => (byte)(i * i * 7))];
        using PatchSample sample = new([("a", old, [.. old[..300], .. "inserted"u8, .. old[300..599], 1]), .. Many().Take(12)]);

        byte[] bundle = await sample.WriteAsync(9, patchedUnit: true);

        (await sample.ReadAsync(bundle)).Sink.Received.Count.ShouldBe(1);
        if (ZstdLibrary.Version == new Version(1, 5, 4))
        {
            ApprovedFile.MatchesBytes("small-patched.golden", bundle);
        }
    }

    /// <summary>Contents that stay as they are: they make the filesystem image long.</summary>
    private static IEnumerable<(string Name, byte[]? Old, byte[] Now)> Many() =>
        Enumerable.Range(0, 300).Select(i => ($"file{(char)('a' + (i % 26))}{i}", (byte[]?)PatchSample.Noise(new Random(i), 20), PatchSample.Noise(new Random(i), 20)));

    /// <summary>As the object store does it: nothing is kept that is not what it is called.</summary>
    private sealed class VerifyingSink : IBundleContentSink
    {
        private readonly MemoryStream _bytes = new();
        private ContentRef _content;

        public int Stored { get; private set; }

        public ValueTask PutAsync(ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => Keep(content, bytes.Span);

        public ValueTask BeginAsync(ContentRef content, CancellationToken cancellationToken)
        {
            _content = content;
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _bytes.Write(bytes.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask CompleteAsync(CancellationToken cancellationToken) => Keep(_content, _bytes.ToArray());

        private ValueTask Keep(ContentRef content, ReadOnlySpan<byte> bytes)
        {
            Stored += Digest.Of(bytes) == content.Digest ? 1 : throw new FailureException(new Error("Object.DigestMismatch", "other bytes", ErrorKind.DataCorrupt));
            return ValueTask.CompletedTask;
        }
    }
}
