using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

public class BuildMemoryTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Take_WhenThereIsNotEnough_WaitsInTurnUntilThereIs()
    {
        BuildMemory memory = new(100);
        IDisposable first = await memory.TakeAsync(60, CancellationToken.None);
        IDisposable second = await memory.TakeAsync(40, CancellationToken.None);
        Task<IDisposable> large = memory.TakeAsync(90, CancellationToken.None);
        Task<IDisposable> small = memory.TakeAsync(10, CancellationToken.None);

        first.Dispose();
        first.Dispose();
        large.IsCompleted.ShouldBeFalse("only 60 are free");
        small.IsCompleted.ShouldBeFalse("it asked later");
        second.Dispose();

        (await large.WaitAsync(Deadline)).Dispose();
        (await small.WaitAsync(Deadline)).Dispose();
    }

    [Fact]
    public async Task Take_WhenMoreIsWantedThanThereIs_GivesAllThereIs()
    {
        BuildMemory memory = new(100);
        using IDisposable all = await memory.TakeAsync(1000, CancellationToken.None).WaitAsync(Deadline);

        memory.TakeAsync(1, CancellationToken.None).IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task Take_WhenOneThatWaitsIsCancelled_LetsThoseBehindItGo()
    {
        BuildMemory memory = new(100);
        using IDisposable held = await memory.TakeAsync(60, CancellationToken.None);
        using CancellationTokenSource leaving = new();
        Task<IDisposable> large = memory.TakeAsync(90, leaving.Token);
        Task<IDisposable> small = memory.TakeAsync(40, CancellationToken.None);

        await leaving.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(() => large);
        (await small.WaitAsync(Deadline)).Dispose();
    }

    /// <summary>All are built, each has its header at once, and never more read contents than there is memory for.</summary>
    [Fact]
    public async Task Write_WhenManyBundlesAreBuiltAtOnce_ReadsContentsOfAsManyAsThereIsMemoryFor()
    {
        const int atOnce = 2;
        SampleBundle sample = SampleBundle.Mixed(files: 40);
        byte[] expected = await sample.WriteAsync(level: 1);
        BuildMemory memory = new((atOnce * BuildMemory.Of(sample.Plan())) + 1);
        HashSet<int> reading = [];
        int most = 0;
        TaskCompletionSource proceed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        MemoryStream[] outputs = [.. Enumerable.Range(0, 8).Select(_ => new MemoryStream())];
        Task[] builds = [.. outputs.Select((output, build) => BuildAsync(build, output))];
        while (outputs.Any(o => o.Length == 0) || Volatile.Read(ref most) < atOnce)
        {
            await Task.WhenAny([Task.Delay(1), .. builds.Where(b => b.IsFaulted)]);
        }

        proceed.SetResult();
        await Task.WhenAll(builds).WaitAsync(Deadline);

        most.ShouldBe(atOnce);
        outputs.ShouldAllBe(o => o.ToArray().SequenceEqual(expected));

        Task BuildAsync(int build, MemoryStream output)
        {
            return BundleWriter.WriteAsync(output, sample.Units(1), sample.Plan(), OpenAsync, level: 1, memory: memory);

            async ValueTask<Stream> OpenAsync(ContentRef content, CancellationToken token)
            {
                lock (reading)
                {
                    // Later some are done and give their place to others.
                    if (!proceed.Task.IsCompleted)
                    {
                        reading.Add(build);
                        most = reading.Count;
                    }
                }

                await proceed.Task.WaitAsync(token);
                return await sample.Open(content, token);
            }
        }
    }
}
