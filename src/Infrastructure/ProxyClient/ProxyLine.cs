using System.Net.Security;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>The connections to one proxy. A request takes one and brings it back when its answer has been read. Safe for concurrent use.</summary>
internal sealed class ProxyLine(SslClientAuthenticationOptions tls, TimeProvider time) : IDisposable
{
    /// <summary>More than a step of warming takes on a line of 300 ms.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly List<ProxyLane> _free = []; // under _lock
    /// <summary>Ends when the connection that is being warmed comes back; null if there is none.</summary>
    private TaskCompletionSource? _warming; // under _lock
    private ProxyLane? _warmed; // under _lock
    private int _waiting; // under _lock
    private int _taken; // under _lock
    private TimeSpan _roundTrip; // under _lock

    /// <summary>Somebody needs the line, or already uses it, besides whoever warms a connection.</summary>
    public bool IsContended
    {
        get
        {
            lock (_lock)
            {
                return _taken > 1 || _waiting > 0;
            }
        }
    }

    /// <summary>The round trip as the connections know it that were used last; zero as long as none was.</summary>
    public TimeSpan RoundTrip
    {
        get
        {
            lock (_lock)
            {
                return _roundTrip;
            }
        }
    }

    /// <summary>
    /// The free connection that knows the line best, or a new one. While one is being warmed and none is warm, that one is waited for: warming stops at its next step, and what the connection has
    /// learned by then is worth more than the wait.
    /// </summary>
    public async Task<ProxyLane> TakeAsync(CancellationToken cancellationToken)
    {
        Task? warming = null;
        lock (_lock)
        {
            if (_warming is not null && !_free.Exists(l => l.IsWarm))
            {
                warming = _warming.Task;
                _waiting++;
            }
        }

        if (warming is not null)
        {
            try
            {
                await Task.WhenAny(warming, Task.Delay(LongestWait, time, cancellationToken));
            }
            finally
            {
                lock (_lock)
                {
                    _waiting--;
                }
            }
        }

        return Take();
    }

    /// <summary>The free connection that knows the line best, or a new one.</summary>
    public ProxyLane Take()
    {
        lock (_lock)
        {
            _taken++;
            DropClosed();
            return Remove(_free.MaxBy(l => (l.IsWarm, l.Received))) ?? new ProxyLane(tls);
        }
    }

    /// <summary>A connection to be warmed, open or not; null if there are enough warm ones, or while somebody uses the line: warming must not get into a pull's way.</summary>
    /// <param name="wanted">How many are to be warm.</param>
    public ProxyLane? TakeCold(int wanted)
    {
        lock (_lock)
        {
            DropClosed();
            if (_taken > 0 || _waiting > 0 || _free.Count(l => l.IsWarm) >= wanted)
            {
                return null;
            }

            _taken++;
            _warming = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _warmed = Remove(_free.Find(l => !l.IsWarm)) ?? new ProxyLane(tls);
        }
    }

    /// <summary>A connection that nobody has used for so long; null if there is none.</summary>
    public ProxyLane? TakeQuiet(TimeSpan quiet)
    {
        lock (_lock)
        {
            DropClosed();
            ProxyLane? lane = Remove(_free.Find(l => time.GetElapsedTime(l.LastUsed) >= quiet));
            _taken += lane is null ? 0 : 1;
            return lane;
        }
    }

    public void Return(ProxyLane lane)
    {
        TaskCompletionSource? warming = null;
        lock (_lock)
        {
            _taken--;
            if (lane == _warmed)
            {
                (warming, _warming, _warmed) = (_warming, null, null);
            }

            lane.LastUsed = time.GetTimestamp();
            _roundTrip = lane.RoundTrip is { Ticks: > 0 } measured ? measured : _roundTrip;
            _free.Add(lane);
        }

        warming?.SetResult();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _free.ForEach(l => l.Dispose());
            _free.Clear();
        }
    }

    // Must be called with the lock.
    private void DropClosed() => _free.RemoveAll(lane =>
    {
        if (lane.IsOpen)
        {
            return false;
        }

        lane.Dispose();
        return true;
    });

    // Must be called with the lock.
    private ProxyLane? Remove(ProxyLane? lane)
    {
        if (lane is not null)
        {
            _free.Remove(lane);
        }

        return lane;
    }
}
