namespace Starlight.Application.Delta;

/// <summary>
/// Lets those who ask the same at the same time share an answer: a fleet's two hundred questions become two or three. An answer is never older than the question: who comes while
/// one is being asked shares the next.
/// </summary>
internal sealed class SharedQuestions<TKey, TAnswer>
    where TKey : notnull
{
    /// <summary>Guards the dictionary and the rounds in it.</summary>
    private readonly Lock _gate = new();

    private readonly Dictionary<TKey, Round> _asking = [];

    /// <param name="key">What is asked.</param>
    /// <param name="ask">Asks it. Not cancelled when this caller goes: others may wait for the same answer.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public Task<TAnswer> AskAsync(TKey key, Func<Task<TAnswer>> ask, CancellationToken cancellationToken)
    {
        Task<TAnswer> answer;
        lock (_gate)
        {
            if (_asking.TryGetValue(key, out Round? round))
            {
                round.Next ??= new TaskCompletionSource<TAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
                answer = round.Next.Task;
            }
            else
            {
                TaskCompletionSource<TAnswer> first = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _asking.Add(key, round = new Round());
                answer = first.Task;
                _ = Task.Run(() => AskAllAsync(key, round, first, ask), CancellationToken.None);
            }
        }

        return answer.WaitAsync(cancellationToken);
    }

    private async Task AskAllAsync(TKey key, Round round, TaskCompletionSource<TAnswer> current, Func<Task<TAnswer>> ask)
    {
        while (true)
        {
            try
            {
                current.SetResult(await ask());
            }
#pragma warning disable CA1031 // goes to those who asked
            catch (Exception e)
#pragma warning restore CA1031
            {
                current.SetException(e);

                // Nobody may be waiting any more.
                _ = current.Task.Exception;
            }

            lock (_gate)
            {
                if (round.Next is null)
                {
                    _asking.Remove(key);
                    return;
                }

                (current, round.Next) = (round.Next, null);
            }
        }
    }

    private sealed class Round
    {
        /// <summary>For those who came while the question was being asked; null if nobody did.</summary>
        public TaskCompletionSource<TAnswer>? Next { get; set; }
    }
}
