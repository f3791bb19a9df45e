using System.Net.Security;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>The connections to one proxy. A request takes one and brings it back when its answer has been read. Safe for concurrent use.</summary>
internal sealed class ProxyLine(SslClientAuthenticationOptions tls, TimeProvider time) : IDisposable
{
    /// <summary>More than a step of warming takes on a line of 300 ms.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    /// <summary>What a connection has carried when it is as good as several new ones together: the steps of warming up to there.</summary>
    private const long NearlyWarm = 256 << 10;

    /// <summary>Free connections that stay when nobody uses the line any more, if they are not warm. Arbitrary.</summary>
    private const int MostKept = 4;

    private readonly Lock _lock = new();
    private readonly List<ProxyLane> _free = []; // under _lock
    /// <summary>Ends when the connection that is being warmed comes back; null if there is none.</summary>
    private TaskCompletionSource? _warming; // under _lock
    private ProxyLane? _warmed; // under _lock
    private int _waiting; // under _lock
    private int _used; // under _lock; taken by somebody who wants something
    private readonly HashSet<ProxyLane> _prepared = []; // under _lock; taken by whoever looks after them
    private TimeSpan _roundTrip; // under _lock

    /// <summary>The last bundle that was asked for in parts was refused. To ask once would have been enough, and wrong passwords are counted.</summary>
    public bool IsRefused { get; set; }

    /// <summary>Ends when the connections for parts that are being opened have been.</summary>
    public Task Opening { get; set; } = Task.CompletedTask;

    /// <summary>Somebody needs the line, or already uses it, besides whoever warms a connection.</summary>
    public bool IsContended
    {
        get
        {
            lock (_lock)
            {
                return _used > 0 || _waiting > 0;
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
            _used++;
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
            if (_used > 0 || _waiting > 0 || _warmed is not null || _free.Count(l => l.IsWarm) >= wanted)
            {
                return null;
            }

            _warming = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _warmed = Remove(_free.Where(l => !l.IsWarm).MaxBy(l => l.Received)) ?? new ProxyLane(tls);
            _prepared.Add(_warmed);
            return _warmed;
        }
    }

    /// <summary>A connection that nobody has used for so long; null if there is none.</summary>
    public ProxyLane? TakeQuiet(TimeSpan quiet)
    {
        lock (_lock)
        {
            DropClosed();
            ProxyLane? lane = Remove(_free.Find(l => time.GetElapsedTime(l.LastUsed) >= quiet));
            if (lane is not null)
            {
                _prepared.Add(lane);
            }

            return lane;
        }
    }

    /// <summary>Waits for connections for parts that are being opened: they are here sooner than new ones, and have carried something.</summary>
    public Task WaitForOpeningAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return Opening.IsCompleted || _free.Exists(l => l.IsWarm) ? Task.CompletedTask : Task.WhenAny(Opening, Task.Delay(LongestWait, time, cancellationToken));
        }
    }

    /// <summary>Connections for the parts of one answer; the first, which gets its beginning, is the best. Null if one is enough: a free one is warm or soon will be, or there is little to be gained.</summary>
    /// <param name="count">How many.</param>
    /// <param name="shortest">Round trip of a line that is worth it. If it is not known, all but the first are only made if it is at least that.</param>
    public IReadOnlyList<ProxyLane>? TakeForStripes(int count, TimeSpan shortest)
    {
        lock (_lock)
        {
            DropClosed();
            TimeSpan known = _roundTrip > TimeSpan.Zero ? _roundTrip : _warmed?.RoundTrip ?? TimeSpan.Zero;
            bool isShort = known > TimeSpan.Zero && known < shortest;
            if (count < 2 || isShort || IsRefused || _used > 0 || _waiting > 0 || _warmed?.Received >= NearlyWarm || _free.Exists(l => l.IsWarm))
            {
                return null;
            }

            List<ProxyLane> lanes = [.. _free.OrderByDescending(l => l.Received).Take(count)];
            lanes.ForEach(l => _free.Remove(l));
            while (lanes.Count < count)
            {
                lanes.Add(new ProxyLane(tls) { Shortest = lanes.Count > 0 ? shortest : TimeSpan.Zero });
            }

            _used += count;
            return lanes;
        }
    }

    /// <summary>New connections, so that there are as many as a pull would take for its parts; none if there are, or a free one is warm. None is made on a shorter line.</summary>
    public IReadOnlyList<ProxyLane> TakeMissing(int wanted, TimeSpan shortest)
    {
        lock (_lock)
        {
            DropClosed();
            List<ProxyLane> lanes = [];
            for (int there = _free.Count + _used + _prepared.Count; there < wanted && !_free.Exists(l => l.IsWarm); there++)
            {
                lanes.Add(new ProxyLane(tls) { Shortest = shortest });
            }

            _prepared.UnionWith(lanes);
            return lanes;
        }
    }

    /// <summary>Closes free connections that nobody will choose, because there are enough better ones.</summary>
    /// <param name="enough">So many warm ones.</param>
    public void DropCold(int enough)
    {
        lock (_lock)
        {
            foreach (ProxyLane lane in _free.Count(l => l.IsWarm) >= enough ? _free.FindAll(l => !l.IsWarm) : [])
            {
                _free.Remove(lane);
                lane.Dispose();
            }
        }
    }

    public void Return(ProxyLane lane)
    {
        TaskCompletionSource? warming = null;
        lock (_lock)
        {
            bool isPrepared = _prepared.Remove(lane);
            _used -= isPrepared ? 0 : 1;
            if (lane == _warmed)
            {
                (warming, _warming, _warmed) = (_warming, null, null);
            }

            lane.LastUsed = time.GetTimestamp();
            _roundTrip = lane.RoundTrip is { Ticks: > 0 } measured ? measured : _roundTrip;
            _free.Add(lane);
            if (!isPrepared && _used == 0 && _free.Count > MostKept)
            {
                // What a pull in parts leaves: the best of them know the line, and the proxy need not hold a dozen of each worker.
                foreach (ProxyLane surplus in _free.Where(l => !l.IsWarm).OrderBy(l => l.Received).Take(_free.Count - MostKept).ToList())
                {
                    _free.Remove(surplus);
                    surplus.Dispose();
                }
            }
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
