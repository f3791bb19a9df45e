namespace Starlight.Infrastructure.WorkerImages;

/// <summary>How fast contents have come in lately. One task counts, any may ask.</summary>
internal sealed class StreamPace(TimeProvider time)
{
    /// <summary>Long enough for the steps in which blocks come, short enough to notice that the line has become slow. Arbitrary.</summary>
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);

    /// <summary>Between two entries of the window.</summary>
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private readonly Queue<(long Time, long Bytes)> _entries = []; // under _lock
    private long _total; // under _lock
    private long _last; // under _lock

    /// <summary>Raw bytes have come.</summary>
    public void Count(int bytes)
    {
        long now = time.GetTimestamp();
        lock (_lock)
        {
            _total += bytes;
            if (_entries.Count == 0 || time.GetElapsedTime(_last, now) >= Step)
            {
                _entries.Enqueue((now, _total));
                _last = now;
            }

            while (_entries.Count > 2 && time.GetElapsedTime(_entries.Peek().Time, now) > Window)
            {
                _entries.Dequeue();
            }
        }
    }

    /// <summary>Raw bytes per second; null before there is enough to tell.</summary>
    public double? Rate
    {
        get
        {
            long now = time.GetTimestamp();
            lock (_lock)
            {
                if (_entries.Count < 2)
                {
                    return null;
                }

                (long since, long before) = _entries.Peek();
                return (_total - before) / time.GetElapsedTime(since, now).TotalSeconds;
            }
        }
    }
}
