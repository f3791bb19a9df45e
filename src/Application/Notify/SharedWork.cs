namespace Starlight.Application.Notify;

/// <summary>
/// Lets callers that want the same thing at the same time share one run of the work. The work belongs to none of them: it is cancelled
/// only when every caller has gone. Nothing is kept once it has ended, so a failure is never handed to a later caller.
/// </summary>
internal sealed class SharedWork<TKey, TProgress, TResult>
    where TKey : notnull
{
    /// <summary>Guards the dictionary and the runs in it.</summary>
    private readonly Lock _gate = new();

    private readonly Dictionary<TKey, Run> _runs = [];

    public async Task<TResult> RunAsync(
        TKey key, Func<IProgress<TProgress>, CancellationToken, Task<TResult>> work, IProgress<TProgress>? progress, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Run run;
        lock (_gate)
        {
            if (!_runs.TryGetValue(key, out run!))
            {
                run = new Run();
                _runs.Add(key, run);
                run.Result = Task.Run(() => ExecuteAsync(key, run, work), CancellationToken.None);
            }

            run.Callers++;
            if (progress is not null)
            {
                run.Audience.Add(progress);
            }
        }

        try
        {
            return await run.Result.WaitAsync(cancellationToken);
        }
        finally
        {
            Leave(key, run, progress);
        }
    }

    private async Task<TResult> ExecuteAsync(TKey key, Run run, Func<IProgress<TProgress>, CancellationToken, Task<TResult>> work)
    {
        try
        {
            return await work(new Broadcast(this, run), run.Cancellation.Token);
        }
        finally
        {
            Forget(key, run);
        }
    }

    private void Leave(TKey key, Run run, IProgress<TProgress>? progress)
    {
        bool last;
        lock (_gate)
        {
            last = --run.Callers == 0;
            if (progress is not null)
            {
                run.Audience.Remove(progress);
            }
        }

        if (last)
        {
            Forget(key, run);
            run.Cancellation.Cancel();
        }
    }

    private void Forget(TKey key, Run run)
    {
        lock (_gate)
        {
            if (_runs.TryGetValue(key, out Run? current) && ReferenceEquals(current, run))
            {
                _runs.Remove(key);
            }
        }
    }

    private sealed class Run
    {
        public CancellationTokenSource Cancellation { get; } = new();

        public Task<TResult> Result { get; set; } = null!;

        public int Callers { get; set; }

        public List<IProgress<TProgress>> Audience { get; } = [];
    }

    private sealed class Broadcast(SharedWork<TKey, TProgress, TResult> owner, Run run) : IProgress<TProgress>
    {
        public void Report(TProgress value)
        {
            IProgress<TProgress>[] audience;
            lock (owner._gate)
            {
                audience = [.. run.Audience];
            }

            foreach (IProgress<TProgress> listener in audience)
            {
                listener.Report(value);
            }
        }
    }
}
