using Starlight.Application.Delta;

namespace Starlight.Application.UnitTests.Delta;

public class SharedQuestionsTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Ask_WhenAnotherIsBeingAsked_SharesTheNextAnswerAndNotTheOneUnderWay()
    {
        SharedQuestions<string, int> questions = new();
        int asked = 0;
        TaskCompletionSource<int>[] answers = [new(), new()];
        TaskCompletionSource began = new();
        Task<int> Ask()
        {
            began.TrySetResult();
            return answers[Interlocked.Increment(ref asked) - 1].Task;
        }

        Task<int> first = questions.AskAsync("a", Ask, CancellationToken.None);
        await began.Task.WaitAsync(Deadline);
        Task<int>[] later = [.. Enumerable.Range(0, 50).Select(_ => questions.AskAsync("a", Ask, CancellationToken.None))];
        answers[0].SetResult(1);
        answers[1].SetResult(2);

        (await first.WaitAsync(Deadline)).ShouldBe(1);
        (await Task.WhenAll(later).WaitAsync(Deadline)).ShouldAllBe(answer => answer == 2);
        asked.ShouldBe(2);
    }

    [Fact]
    public async Task Ask_WhenTheAnswerIsAFailure_FailsThoseWhoSharedItAndAsksAnewForTheNext()
    {
        SharedQuestions<string, int> questions = new();

        await Should.ThrowAsync<TimeoutException>(() => questions.AskAsync("a", () => throw new TimeoutException(), CancellationToken.None).WaitAsync(Deadline));

        // The failed round may not have ended yet: then this one shares the next, which asks as that one did.
        await Should.ThrowAsync<TimeoutException>(() => questions.AskAsync("a", () => Task.FromException<int>(new TimeoutException()), CancellationToken.None).WaitAsync(Deadline));
        (await questions.AskAsync("b", () => Task.FromResult(3), CancellationToken.None).WaitAsync(Deadline)).ShouldBe(3);
    }

    [Fact]
    public async Task Ask_WhenWhoAskedLeaves_AnswersTheOthers()
    {
        SharedQuestions<string, int> questions = new();
        TaskCompletionSource<int> answer = new();
        using CancellationTokenSource leaving = new();
        Task<int> first = questions.AskAsync("a", () => answer.Task, leaving.Token);
        Task<int> second = questions.AskAsync("a", () => Task.FromResult(0), CancellationToken.None);

        await leaving.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => first);
        answer.SetResult(7);

        (await second.WaitAsync(Deadline)).ShouldBe(7);
    }
}
