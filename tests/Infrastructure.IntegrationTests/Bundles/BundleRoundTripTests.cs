using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

public sealed class BundleRoundTripTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(9)]
    public async Task ReadContents_WhenBundleIsWhole_GivesImagesVerbatimAndContentsInOrder(int level)
    {
        SampleBundle sample = SampleBundle.Mixed();
        DeltaPlan plan = sample.Plan();
        byte[] bundle = await sample.WriteAsync(level);

        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents);
        CollectingSink sink = new();
        await reader.ReadContentsAsync(sink, CancellationToken.None);

        for (int i = 0; i < sample.Images.Count; i++)
        {
            Same(reader.Images[i], sample.Images[i]);
        }

        sink.Received.ShouldBe(plan.Contents.Select(c => c.Content));
        sink.Pieces.ShouldBeGreaterThan(10);
        reader.IsComplete.ShouldBeTrue();
        reader.ContentLength.ShouldBe(plan.RawLength);
        reader.ContentPosition.ShouldBe(plan.RawLength);
        reader.HotContentCount.ShouldBe(plan.HotContentCount);
        reader.HotBlockCount.ShouldBe(plan.HotBlockCount);
        reader.Position.Offset.ShouldBe(bundle.Length - BlockRecord.TrailerLength);
    }

    [Fact]
    public async Task Write_WhenNothingIsMissing_IsHeaderAndTrailer()
    {
        SampleBundle sample = SampleBundle.Small();
        byte[] bundle = await sample.WriteAsync(3, SampleBundle.ReadContents(sample.Images[0].FilesystemImage));

        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents).ShouldBeEmpty();
        await reader.ReadContentsAsync(new CollectingSink(), CancellationToken.None);

        reader.IsComplete.ShouldBeTrue();
        bundle.Length.ShouldBe(reader.HeaderLength + BlockRecord.TrailerLength);
    }

    [Fact]
    public async Task Write_WhenDoneTwice_GivesTheSameBytesAndIdentity()
    {
        SampleBundle sample = SampleBundle.Mixed();

        byte[][] bundles = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => sample.WriteAsync(3))));

        bundles.Select(b => Digest.Of(b)).Distinct().Count().ShouldBe(1);
        BundleIdentity.Of(sample.Units(3), sample.Plan(), 3).ShouldBe(BundleIdentity.Of(sample.Units(3), sample.Plan(), 3));
    }

    [Fact]
    public void Identity_WhenAnyInputDiffers_Differs()
    {
        SampleBundle sample = SampleBundle.Mixed(files: 20);
        Digest[] identities =
        [
            BundleIdentity.Of(sample.Units(3), sample.Plan(), 3),
            BundleIdentity.Of(sample.Units(3), sample.Plan(), 4),
            BundleIdentity.Of(sample.Units(4), sample.Plan(), 3),
            BundleIdentity.Of(sample.Units(3), sample.Plan(SampleBundle.ReadContents(sample.Images[0].FilesystemImage)), 3),
            BundleIdentity.Of(SampleBundle.Mixed(seed: 2, files: 20).Units(3), sample.Plan(), 3),
        ];

        identities.Distinct().Count().ShouldBe(identities.Length);
    }

    [Fact]
    public async Task Write_WhenContentsAreSlow_HasSentTheHeaderBefore()
    {
        SampleBundle sample = SampleBundle.Small();
        TaskCompletionSource contentsMayCome = new(TaskCreationOptions.RunContinuationsAsynchronously);
        System.IO.Pipelines.Pipe pipe = new();

        Task writing = BundleWriter.WriteAsync(pipe.Writer.AsStream(), sample.Units(3), sample.Plan(), async (content, token) =>
        {
            await contentsMayCome.Task;
            return await sample.Open(content, token);
        });
        Stream stream = pipe.Reader.AsStream();
        BundleReader reader = await BundleReader.OpenAsync(stream, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
        contentsMayCome.SetResult();
        reader.BindContents(SampleBundle.ReadContents);
        await reader.ReadContentsAsync(new CollectingSink(), CancellationToken.None);
        await writing;

        reader.IsComplete.ShouldBeTrue();
    }

    /// <summary>Above 40 MiB the unit is compressed as a stream: another way to the same format.</summary>
    [Fact]
    public void Encode_WhenFilesystemImageIsLarge_DecodesToTheSame()
    {
        byte[] filesystem = new byte[(40 << 20) + 4096];
        new Random(5).NextBytes(filesystem.AsSpan(filesystem.Length / 2, 3 << 20));
        BundleImage image = SampleBundle.Small().Images[0] with { FilesystemImage = filesystem, FilesystemDigest = Digest.Of(filesystem) };

        byte[] unit = ImageUnit.Encode(image);
        BundleImage decoded = ImageUnit.Decode(unit);

        unit.Length.ShouldBeInRange(3 << 20, 4 << 20);
        decoded.FilesystemImage.Span.SequenceEqual(filesystem).ShouldBeTrue();
        decoded.Manifest.Span.SequenceEqual(image.Manifest.Span).ShouldBeTrue();
        (decoded.Reference, decoded.FilesystemDigest).ShouldBe((image.Reference, image.FilesystemDigest));
        ImageUnit.Encode(image).ShouldBe(unit);
    }

    [Theory]
    [InlineData("short")]
    [InlineData("long")]
    [InlineData("changed")]
    public async Task Write_WhenContentIsNotWhatItsNameSays_Fails(string damage)
    {
        SampleBundle sample = SampleBundle.Mixed(files: 20);
        ContentRef victim = sample.Plan().Contents[^1].Content;
        byte[] good = sample.Contents[victim.Digest];
        byte[] bad = damage switch
        {
            "short" => good[..^1],
            "long" => [.. good, 0],
            _ => [.. good[..^1], (byte)(good[^1] ^ 1)],
        };

        FailureException failure = await Should.ThrowAsync<FailureException>(() => BundleWriter.WriteAsync(
            Stream.Null, sample.Units(3), sample.Plan(), (content, token) => content == victim ? new(new MemoryStream(bad)) : sample.Open(content, token), 3));

        failure.Error.Code.ShouldBe("Bundle.ContentMismatch");
        failure.Error.Message.ShouldContain(victim.Digest.Hex);
    }

    [Fact]
    public async Task Write_WhenReceiverGoesAway_StopsWithItsError()
    {
        SampleBundle sample = SampleBundle.Mixed();

        await Should.ThrowAsync<IOException>(() => BundleWriter.WriteAsync(new BrokenStream(500_000), sample.Units(3), sample.Plan(), sample.Open, 3));
    }

    [Fact]
    public async Task Write_WhenCancelled_Stops()
    {
        SampleBundle sample = SampleBundle.Mixed();
        using CancellationTokenSource cancellation = new();

        await Should.ThrowAsync<OperationCanceledException>(() => BundleWriter.WriteAsync(
            Stream.Null,
            sample.Units(3),
            sample.Plan(),
            async (content, token) =>
            {
                await cancellation.CancelAsync();
                await Task.Delay(Timeout.Infinite, token);
                return await sample.Open(content, token);
            },
            3,
            cancellationToken: cancellation.Token));
    }

    [Fact]
    public void Rename_WhenImageHasAnotherName_ChangesOnlyThat()
    {
        BundleImage image = SampleBundle.Small().Images[0];
        byte[] unit = ImageUnit.Encode(image, 3);

        ImageUnits units = ImageUnit.Rename(unit, "registry.test/other:2", null, null, 3);
        BundleImage renamed = ImageUnit.Decode((byte[])[.. units.Name.Span, .. units.Image.Span]);

        Same(renamed, image with { Reference = "registry.test/other:2", Index = null, IndexMediaType = null });
        Same(ImageUnit.Decode(unit), image);
    }

    private static void Same(BundleImage actual, BundleImage expected)
    {
        actual.Reference.ShouldBe(expected.Reference);
        actual.IndexMediaType.ShouldBe(expected.IndexMediaType);
        (actual.Index?.ToArray()).ShouldBe(expected.Index?.ToArray());
        actual.ManifestMediaType.ShouldBe(expected.ManifestMediaType);
        actual.Manifest.ToArray().ShouldBe(expected.Manifest.ToArray());
        actual.Config.ToArray().ShouldBe(expected.Config.ToArray());
        actual.FilesystemImage.ToArray().ShouldBe(expected.FilesystemImage.ToArray());
        actual.FilesystemDigest.ShouldBe(expected.FilesystemDigest);
    }

    /// <summary>A connection that breaks after so many bytes.</summary>
    private sealed class BrokenStream(long length) : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            Length + buffer.Length > length ? ValueTask.FromException(new IOException("broken pipe")) : base.WriteAsync(buffer, cancellationToken);
    }
}
