using System.Collections.Concurrent;

namespace Starlight.Presentation.Proxy.Transport;

/// <summary>
/// Lets those who send much go on in the order in which they asked, few at a time, so that the thread pool's queue stays short: a new request, which takes a dozen steps to its
/// first byte, then waits for a few pieces at each of them and not for a piece of everybody.
/// </summary>
internal sealed class SendingTurns : IThreadPoolWorkItem
{
    /// <summary>How many are in the pool's queue at a time: one for each core, so that none idles.</summary>
    private static readonly int MaxQueued = Environment.ProcessorCount;

    private static readonly SendingTurns Turn = new();
    private static readonly ConcurrentQueue<IThreadPoolWorkItem> Waiting = new();
    private static int _queued;

    private SendingTurns()
    {
    }

    /// <summary>Has <paramref name="next"/> executed when its turn has come.</summary>
    public static void Wait(IThreadPoolWorkItem next)
    {
        Waiting.Enqueue(next);
        Queue();
    }

    void IThreadPoolWorkItem.Execute()
    {
        Waiting.TryDequeue(out IThreadPoolWorkItem? next);
        Interlocked.Decrement(ref _queued);
        next?.Execute();
        if (!Waiting.IsEmpty)
        {
            Queue();
        }
    }

    /// <summary>Does nothing if enough are queued: each of them looks for more after this.</summary>
    private static void Queue()
    {
        for (int queued = Volatile.Read(ref _queued); queued < MaxQueued; queued = Volatile.Read(ref _queued))
        {
            if (Interlocked.CompareExchange(ref _queued, queued + 1, queued) == queued)
            {
                ThreadPool.UnsafeQueueUserWorkItem(Turn, preferLocal: false);
                return;
            }
        }
    }
}
