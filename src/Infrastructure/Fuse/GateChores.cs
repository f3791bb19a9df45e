using System.Diagnostics;

namespace Starlight.Infrastructure.Fuse;

/// <summary>
/// One background thread for what the threads that read requests must not do: notifications, which may wait for a directory lock, and watching waiters
/// that have had a signal.
/// </summary>
/// <param name="invalidate">Sends one notification; may block.</param>
/// <param name="sweep">Looks at interrupted waiters; true while there are some.</param>
internal sealed class GateChores(Action<ulong, byte> invalidate, Func<bool> sweep)
{
    /// <summary>How soon a killed waiter is noticed at the latest, with little load. Arbitrary; people notice from about 100 ms on.</summary>
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromMilliseconds(50);

    /// <summary>Sweeps get at most one part in so many of one processor, however many waiters there are (20 µs per waiter and sweep).</summary>
    private const int DutyDivisor = 10;

    private readonly object _lock = new();
    private readonly Queue<(ulong Parent, byte Fanout)> _invalidations = []; // under _lock
    private int _invalidationsSent; // under _lock
    private bool _watching; // under _lock
    private bool _stopped; // under _lock
    private Thread? _thread;

    /// <summary>How many notifications the kernel has carried out.</summary>
    public int InvalidationsSent
    {
        get
        {
            lock (_lock)
            {
                return _invalidationsSent;
            }
        }
    }

    public void Start()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "gate chores" };
        _thread.Start();
    }

    public void Invalidate(ulong parent, byte fanout)
    {
        lock (_lock)
        {
            _invalidations.Enqueue((parent, fanout));
            Monitor.Pulse(_lock);
        }
    }

    public void WatchInterrupts()
    {
        lock (_lock)
        {
            _watching = true;
            Monitor.Pulse(_lock);
        }
    }

    /// <summary>Ends the thread. What is still queued is dropped. The readers must still be running: a notification may wait for them.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _stopped = true;
            Monitor.Pulse(_lock);
        }

        _thread?.Join();
    }

    private void Run()
    {
        long nextSweep = 0;
        while (true)
        {
            (ulong Parent, byte Fanout) invalidation = default;
            bool hasInvalidation;
            lock (_lock)
            {
                while (!_stopped && _invalidations.Count == 0 && !(_watching && Stopwatch.GetTimestamp() >= nextSweep))
                {
                    Monitor.Wait(_lock, _watching ? TimeLeft(nextSweep) : Timeout.InfiniteTimeSpan);
                }

                if (_stopped)
                {
                    return;
                }

                hasInvalidation = _invalidations.TryDequeue(out invalidation);
            }

            if (hasInvalidation)
            {
                invalidate(invalidation.Parent, invalidation.Fanout);
                lock (_lock)
                {
                    _invalidationsSent++;
                }
            }
            else
            {
                nextSweep = Sweep();
            }
        }
    }

    /// <summary>Gives the time of the next sweep.</summary>
    private long Sweep()
    {
        lock (_lock)
        {
            _watching = false; // set again by whoever comes while we look
        }

        long started = Stopwatch.GetTimestamp();
        bool more = sweep();
        TimeSpan took = Stopwatch.GetElapsedTime(started);
        lock (_lock)
        {
            _watching |= more;
        }

        return Stopwatch.GetTimestamp() + (long)((SweepPeriod + (took * DutyDivisor)).TotalSeconds * Stopwatch.Frequency);
    }

    private static TimeSpan TimeLeft(long deadline)
    {
        TimeSpan left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), deadline);
        return left > TimeSpan.Zero ? left + TimeSpan.FromMilliseconds(1) : TimeSpan.Zero;
    }
}
