using System.Net.Security;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>The connections to one proxy. A request takes one and brings it back when its answer has been read. Safe for concurrent use.</summary>
internal sealed class ProxyLine(SslClientAuthenticationOptions tls, TimeProvider time) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<ProxyLane> _free = []; // under _lock
    private int _taken; // under _lock
    private TimeSpan _roundTrip; // under _lock

    /// <summary>More than one request is being answered.</summary>
    public bool IsContended
    {
        get
        {
            lock (_lock)
            {
                return _taken > 1;
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
            if (_taken > 0 || _free.Count(l => l.IsWarm) >= wanted)
            {
                return null;
            }

            _taken++;
            return Remove(_free.Find(l => !l.IsWarm)) ?? new ProxyLane(tls);
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
        lock (_lock)
        {
            _taken--;
            lane.LastUsed = time.GetTimestamp();
            _roundTrip = lane.RoundTrip is { Ticks: > 0 } measured ? measured : _roundTrip;
            _free.Add(lane);
        }
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
