using System.IO.Pipelines;
using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Contents;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Contents;

public sealed class BundleCacheTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly ScratchDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task OpenOrBuild_WhenManyAsk_BuildsOnceAndAllFollowTheGrowingFile()
    {
        await using BundleCache cache = Open();
        TaskCompletionSource proceed = new();
        int builds = 0;
        async Task BuildAsync(Stream output, CancellationToken token)
        {
            Interlocked.Increment(ref builds);
            await output.WriteAsync(new byte[] { 1, 2, 3 }, token);
            await proceed.Task;
            await output.WriteAsync(new byte[] { 4, 5 }, token);
        }

        CachedBundle[] bundles = [.. Enumerable.Range(0, 5).Select(_ => cache.OpenOrBuild("a", BuildAsync))];
        Pipe pipe = new();
        Task first = bundles[0].CopyToAsync(pipe.Writer, sender: null, 0, count: null, CancellationToken.None);
        ReadResult head = await pipe.Reader.ReadAtLeastAsync(3).AsTask().WaitAsync(Deadline);
        head.Buffer.Length.ShouldBe(3, "what is written is handed on before the build has ended");
        bundles[0].Length.ShouldBeNull();
        proceed.SetResult();
        await first.WaitAsync(Deadline);

        foreach (CachedBundle bundle in bundles[1..])
        {
            (await ReadAsync(bundle)).ShouldBe([1, 2, 3, 4, 5]);
        }

        builds.ShouldBe(1);
        using CachedBundle finished = cache.TryOpen("a")!;
        finished.Length.ShouldBe(5);
        (await ReadAsync(finished, offset: 2)).ShouldBe([3, 4, 5]);
    }

    [Fact]
    public async Task OpenOrBuild_WhenBuildFails_FailsEveryReaderAndTriesAnewNextTime()
    {
        await using BundleCache cache = Open();
        using CachedBundle bundle = cache.OpenOrBuild("a", async (output, token) =>
        {
            await output.WriteAsync(new byte[] { 1 }, token);
            throw new InvalidOperationException("no luck");
        });

        IOException failure = await Should.ThrowAsync<IOException>(() => ReadAsync(bundle));
        using CachedBundle again = cache.OpenOrBuild("a", async (output, token) => await output.WriteAsync(new byte[] { 7 }, token));

        failure.InnerException!.Message.ShouldBe("no luck");
        (await ReadAsync(again)).ShouldBe([7]);
    }

    [Fact]
    public async Task PrepareAsync_BuildsWhatNobodyHasAskedFor_AndKnowsWhenSomebodyDoes()
    {
        await using BundleCache cache = Open();
        TaskCompletionSource proceed = new();
        Task<bool> prepared = cache.PrepareAsync("a", BuildAsync, [], CancellationToken.None);
        (await cache.PrepareAsync("a", BuildAsync, [], CancellationToken.None)).ShouldBeFalse("it is being built");
        prepared.IsCompleted.ShouldBeFalse();

        using CachedBundle bundle = cache.TryOpen("a")!;
        proceed.SetResult();

        (await ReadAsync(bundle).WaitAsync(Deadline)).ShouldBe([1], "it was wanted when it went on");
        (await prepared.WaitAsync(Deadline)).ShouldBeTrue();
        (await cache.PrepareAsync("a", BuildAsync, [], CancellationToken.None)).ShouldBeFalse("it is there");
        (await cache.PrepareAsync("b", BuildAsync, [], CancellationToken.None)).ShouldBeTrue();
        (await ReadAsync(cache.TryOpen("b")!)).ShouldBe([0]);
        (await cache.PrepareAsync("c", (_, _, _) => throw new IOException("no luck"), [], CancellationToken.None)).ShouldBeFalse();

        async Task BuildAsync(Stream output, Func<bool> isWanted, CancellationToken token)
        {
            await proceed.Task;
            await output.WriteAsync(new[] { (byte)(isWanted() ? 1 : 0) }, token);
        }
    }

    [Fact]
    public async Task OpenOrBuild_OfTooManyBundlesAtOnce_RefusesMoreAndServesThoseItTook()
    {
        await using BundleCache cache = Open();
        TaskCompletionSource proceed = new();
        List<CachedBundle> bundles = [];
        FailureException refused = Should.Throw<FailureException>(() =>
        {
            for (int i = 0; i < 1000; i++)
            {
                bundles.Add(cache.OpenOrBuild($"b{i}", BuildAsync));
            }
        });
        (refused.Error.Code, refused.Error.Kind, bundles.Count).ShouldBe(("Bundle.TooManyBuilds", ErrorKind.Unavailable, 256));
        cache.OpenOrBuild("b0", BuildAsync).Dispose();

        proceed.SetResult();
        foreach (CachedBundle bundle in bundles)
        {
            (await ReadAsync(bundle).WaitAsync(Deadline)).ShouldBe([1]);
        }

        await Probe.UntilAsync(() => cache.Usage.Building == 0, "all have their names");
        cache.OpenOrBuild("one-more", BuildAsync).Dispose();

        async Task BuildAsync(Stream output, CancellationToken token)
        {
            await proceed.Task;
            await output.WriteAsync(new byte[] { 1 }, token);
        }
    }

    [Fact]
    public async Task OpenOrBuild_WhenEveryReaderLeaves_TheBuildGoesOn()
    {
        await using BundleCache cache = Open();
        TaskCompletionSource proceed = new();
        using CachedBundle observer = cache.OpenOrBuild("a", async (output, token) =>
        {
            await proceed.Task;
            await output.WriteAsync(new byte[] { 1 }, token);
        });
        using (CancellationTokenSource leaving = new())
        {
            using CachedBundle reader = cache.TryOpen("a")!;
            Task copying = reader.CopyToAsync(new Pipe().Writer, sender: null, 0, count: null, leaving.Token);
            await leaving.CancelAsync();
            await Should.ThrowAsync<OperationCanceledException>(() => copying);
        }

        proceed.SetResult();

        await observer.WaitForAsync(bytes: null, CancellationToken.None).WaitAsync(Deadline);
        observer.Length.ShouldBe(1);
    }

    [Fact]
    public async Task Open_AfterACrash_RemovesPartialFilesAndServesFinishedOnes()
    {
        await File.WriteAllBytesAsync(Path.Combine(_directory.Create("bundles"), "half.partial"), [1]);
        await File.WriteAllBytesAsync(_directory["bundles/whole"], [1, 2]);

        await using BundleCache cache = Open();

        File.Exists(_directory["bundles/half.partial"]).ShouldBeFalse();
        cache.TryOpen("half").ShouldBeNull();
        using CachedBundle whole = cache.TryOpen("whole")!;
        (await ReadAsync(whole)).ShouldBe([1, 2]);
    }

    [Fact]
    public async Task DropUnused_RemovesWhatWasPreparedUnlessSomebodyTookIt()
    {
        await using BundleCache cache = Open();
        foreach (string identity in new[] { "prepared", "taken" })
        {
            (await cache.PrepareAsync(identity, (output, _, token) => output.WriteAsync(new byte[] { 1 }, token).AsTask(), [], CancellationToken.None)).ShouldBeTrue();
        }

        cache.TryOpen("taken")!.Dispose();
        using CachedBundle asked = await BuildAsync(cache, "asked", 3);

        foreach (string identity in new[] { "prepared", "taken", "asked", "unknown" })
        {
            cache.DropUnused(identity);
        }

        Directory.GetFiles(_directory["bundles"]).Select(Path.GetFileName).Where(f => !f!.EndsWith(".images", StringComparison.Ordinal)).Order().ShouldBe(["asked", "taken"]);
        cache.TryOpen("prepared").ShouldBeNull();
    }

    [Fact]
    public async Task OpenOrBuild_WhenLimitIsReached_EvictsTheLeastRecentlyUsedButNotFromItsReaders()
    {
        await using BundleCache cache = Open(maxBytes: 25);
        using CachedBundle a = await BuildAsync(cache, "a", 10);
        using CachedBundle b = await BuildAsync(cache, "b", 10);
        cache.TryOpen("a")!.Dispose();

        using CachedBundle c = await BuildAsync(cache, "c", 10);

        cache.TryOpen("b").ShouldBeNull();
        cache.TryOpen("a").ShouldNotBeNull().Dispose();
        (await ReadAsync(b)).Length.ShouldBe(10);
        Directory.GetFiles(_directory["bundles"]).Select(Path.GetFileName).Order().ShouldBe(["a", "c"]);
    }

    [Fact]
    public async Task TryOpen_WhenFileWasCutShortBehindOurBack_ForgetsIt()
    {
        await using BundleCache cache = Open();
        (await BuildAsync(cache, "a", 10)).Dispose();
        await File.WriteAllBytesAsync(_directory["bundles/a"], new byte[4]);

        cache.TryOpen("a").ShouldBeNull();
        using CachedBundle again = await BuildAsync(cache, "a", 10);
        again.Length.ShouldBe(10);
    }

    [Fact]
    public async Task Dispose_WhileBuilding_StopsTheBuildAndLeavesNothing()
    {
        BundleCache cache = Open();
        TaskCompletionSource begun = new();
        using CachedBundle bundle = cache.OpenOrBuild("a", async (_, token) =>
        {
            begun.SetResult();
            await Task.Delay(Timeout.Infinite, token);
        });
        await begun.Task.WaitAsync(Deadline);

        await cache.DisposeAsync().AsTask().WaitAsync(Deadline);

        Directory.GetFiles(_directory["bundles"]).ShouldBeEmpty();
        await Should.ThrowAsync<IOException>(() => ReadAsync(bundle));
    }

    private static async Task<CachedBundle> BuildAsync(BundleCache cache, string identity, int size)
    {
        CachedBundle bundle = cache.OpenOrBuild(identity, async (output, token) => await output.WriteAsync(new byte[size], token));
        await bundle.WaitForAsync(bytes: null, CancellationToken.None).WaitAsync(Deadline);
        await Probe.UntilAsync(() => cache.Usage.Building == 0, "it has its final name");
        return bundle;
    }

    private static async Task<byte[]> ReadAsync(CachedBundle bundle, long offset = 0)
    {
        using MemoryStream copy = new();
        PipeWriter writer = PipeWriter.Create(copy, new StreamPipeWriterOptions(leaveOpen: true));
        await bundle.CopyToAsync(writer, sender: null, offset, count: null, CancellationToken.None).WaitAsync(Deadline);
        await writer.CompleteAsync();
        return copy.ToArray();
    }

    private BundleCache Open(long maxBytes = 1 << 20) => new(_directory["bundles"], maxBytes, NullLogger<BundleCache>.Instance);
}
