using Starlight.Application.Notify;

namespace Starlight.Application.UnitTests.Notify;

public sealed class SharedWorkTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly SharedWork<string, int, int> _work = new();

    [Fact]
    public async Task Run_WhenAskedAtOnce_RunsOnceAndTellsAll()
    {
        TaskCompletionSource proceed = new();
        int runs = 0;
        List<int>[] heard = [[], []];
        Task<int>[] callers = [.. heard.Select(h => _work.RunAsync("a", RunAsync, new Listener(h), CancellationToken.None))];
        proceed.SetResult();

        (await Task.WhenAll(callers).WaitAsync(Deadline)).ShouldBe([42, 42]);

        runs.ShouldBe(1);
        heard.ShouldAllBe(h => h.SequenceEqual(new[] { 7 }));

        async Task<int> RunAsync(IProgress<int> progress, CancellationToken token)
        {
            Interlocked.Increment(ref runs);
            await proceed.Task;
            progress.Report(7);
            return 42;
        }
    }

    [Fact]
    public async Task Run_WhenOneCallerLeaves_GoesOnForTheOthers()
    {
        TaskCompletionSource proceed = new();
        using CancellationTokenSource leaving = new();
        Task<int> first = _work.RunAsync("a", RunAsync, null, leaving.Token);
        Task<int> second = _work.RunAsync("a", RunAsync, null, CancellationToken.None);

        await leaving.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => first);
        proceed.SetResult();

        (await second.WaitAsync(Deadline)).ShouldBe(1);

        async Task<int> RunAsync(IProgress<int> progress, CancellationToken token)
        {
            await proceed.Task.WaitAsync(token);
            return 1;
        }
    }

    [Fact]
    public async Task Run_WhenAllCallersLeave_IsCancelledAndTheNextCallerStartsAnew()
    {
        TaskCompletionSource cancelled = new();
        using CancellationTokenSource leaving = new();
        Task<int> first = _work.RunAsync(
            "a",
            async (_, token) =>
            {
                token.Register(cancelled.SetResult);
                await Task.Delay(Timeout.Infinite, token);
                return 1;
            },
            null,
            leaving.Token);

        await leaving.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => first);
        await cancelled.Task.WaitAsync(Deadline);

        (await _work.RunAsync("a", (_, _) => Task.FromResult(2), null, CancellationToken.None).WaitAsync(Deadline)).ShouldBe(2);
    }

    [Fact]
    public async Task Run_WhenItFails_FailsForAllAndIsNotKept()
    {
        await Should.ThrowAsync<InvalidOperationException>(() => _work.RunAsync("a", (_, _) => throw new InvalidOperationException(), null, CancellationToken.None));

        (await _work.RunAsync("a", (_, _) => Task.FromResult(2), null, CancellationToken.None)).ShouldBe(2);
    }

    private sealed class Listener(List<int> heard) : IProgress<int>
    {
        public void Report(int value) => heard.Add(value);
    }
}
