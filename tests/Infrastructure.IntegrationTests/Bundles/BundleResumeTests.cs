using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

public sealed class BundleResumeTests
{
    [Fact]
    public async Task Resume_WhenStreamBreaksAgainAndAgain_GivesEveryContentOnce()
    {
        SampleBundle sample = SampleBundle.Mixed(files: 60);
        byte[] bundle = await sample.WriteAsync(3);
        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents);
        CollectingSink sink = new();
        Random random = new(5);
        int breaks = 0;

        while (!reader.IsComplete)
        {
            int from = (int)reader.Position.Offset;
            int length = Math.Min(bundle.Length - from, random.Next(2_000_000));
            Stream rest = new MemoryStream(bundle, from, length);
            reader.Resume(random.Next(2) == 0 ? rest : new ResetStream(rest));
            try
            {
                await reader.ReadContentsAsync(sink, CancellationToken.None);
            }
            catch (FailureException e) when (e.Error.Code == "Bundle.Truncated")
            {
                e.Error.Message.ShouldContain($"after {from + length} bytes");
                breaks++;
            }
        }

        breaks.ShouldBeGreaterThan(2);
        sink.Received.ShouldBe(sample.Plan().Contents.Select(c => c.Content));
    }

    [Fact]
    public async Task Resume_WhenAnotherReaderGoesOn_GivesWhatIsLeftFromTheRestartPosition()
    {
        SampleBundle sample = SampleBundle.Mixed(files: 60);
        byte[] bundle = await sample.WriteAsync(3);
        HashSet<BundlePosition> positions = [];

        for (int cut = bundle.Length / 12; cut < bundle.Length; cut += bundle.Length / 12)
        {
            BundleReader first = await OpenAsync(bundle[..cut]);
            CollectingSink before = new();
            await Should.ThrowAsync<FailureException>(() => first.ReadContentsAsync(before, CancellationToken.None));
            BundlePosition restart = first.RestartPosition;

            BundleReader second = await OpenAsync(bundle);
            second.Resume(new MemoryStream(bundle, (int)restart.Offset, bundle.Length - (int)restart.Offset), restart);
            CollectingSink after = new();
            await second.ReadContentsAsync(after, CancellationToken.None);

            // What came after the restart position but before the cut comes twice.
            before.Received.Concat(after.Received).Distinct().ShouldBe(sample.Plan().Contents.Select(c => c.Content));
            second.ContentPosition.ShouldBe(second.ContentLength);
            positions.Add(restart);
        }

        positions.Count.ShouldBeGreaterThan(3);
    }

    [Fact]
    public async Task Resume_WhenPositionIsInsideAContent_Refuses()
    {
        SampleBundle sample = new();
        sample.Add("registry.test/large:1", [new byte[3_000_000]], hot: 0);
        byte[] bundle = await sample.WriteAsync(3);
        BundleReader reader = await OpenAsync(bundle);

        Should.Throw<ArgumentException>(() => reader.Resume(Stream.Null, new BundlePosition(1, 1000)));
        Should.Throw<ArgumentException>(() => reader.Resume(Stream.Null, new BundlePosition(99, 1000)));
    }

    [Fact]
    public async Task ReadContents_WhenSinkHasFailed_CannotGoOn()
    {
        SampleBundle sample = SampleBundle.Small();
        BundleReader reader = await OpenAsync(await sample.WriteAsync(3));

        await Should.ThrowAsync<IOException>(() => reader.ReadContentsAsync(new FullDisk(), CancellationToken.None));
        await Should.ThrowAsync<InvalidOperationException>(() => reader.ReadContentsAsync(new CollectingSink(), CancellationToken.None));
    }

    private static async Task<BundleReader> OpenAsync(byte[] bundle)
    {
        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents);
        return reader;
    }

    /// <summary>Ends with the exception of a reset connection instead of an end of stream.</summary>
    private sealed class ResetStream(Stream inner) : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int read = await inner.ReadAsync(buffer, cancellationToken);
            return read > 0 ? read : throw new IOException("connection reset by peer");
        }
    }

    private sealed class FullDisk : IBundleContentSink
    {
        public ValueTask PutAsync(Domain.Content.ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
            ValueTask.FromException(new IOException("no space left on device"));

        public ValueTask BeginAsync(Domain.Content.ContentRef content, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
