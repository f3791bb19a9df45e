using Microsoft.Extensions.Logging;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.ProxyClient;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// Contents of one bundle that somebody waits for now: one that is far back in the stream is asked for on another connection if that is sooner, which is when
/// <code>
/// raw bytes up to its end / rate of the stream   >   round trip + margin + its size / rate
/// </code>
/// and always while the stream has stopped. What comes this way is checked like what comes in the stream, which skips it later. Thread-safe.
/// </summary>
internal sealed class QueueJumper(IncomingBundle bundle, ObjectStore objects, ArrivalBoard board, StreamPace pace, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    /// <summary>More at once would take the line from the stream, in which most of what is wanted next comes first. Arbitrary.</summary>
    private const int Lanes = 4;

    /// <summary>What the proxy needs to answer, and what an estimate may be wrong by. Arbitrary.</summary>
    private static readonly TimeSpan Margin = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Dictionary<Digest, Task> _wanted = []; // under _lock
    private readonly SemaphoreSlim _lanes = new(Lanes);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lazy<Dictionary<Digest, (ContentRef Content, long End)>> _places = new(() => PlacesOf(bundle));
    private volatile bool _refused;

    /// <summary>Somebody waits for it. False if it does not come with this bundle.</summary>
    public bool Want(Digest digest)
    {
        if (!_places.Value.TryGetValue(digest, out (ContentRef Content, long End) place))
        {
            return false;
        }

        lock (_lock)
        {
            if (!_refused && !_stop.IsCancellationRequested && !_wanted.ContainsKey(digest))
            {
                _wanted.Add(digest, Task.Run(() => WatchAsync(place.Content, place.End)));
            }
        }

        return true;
    }

    public async ValueTask DisposeAsync()
    {
        Task[] running;
        lock (_lock)
        {
            _stop.Cancel();
            running = [.. _wanted.Values];
        }

        await Task.WhenAll(running);
    }

    private static Dictionary<Digest, (ContentRef Content, long End)> PlacesOf(IncomingBundle bundle)
    {
        Dictionary<Digest, (ContentRef, long)> places = new(bundle.Contents.Count);
        long end = 0;
        foreach (ContentRef content in bundle.Contents)
        {
            end += content.Size;
            places[content.Digest] = (content, end);
        }

        return places;
    }

    /// <summary>Until it is here, one way or the other.</summary>
    private async Task WatchAsync(ContentRef content, long end)
    {
        TimeSpan pause = FirstPause;
        try
        {
            while (!_refused && !objects.Contains(content.Digest))
            {
                TimeSpan detour = bundle.RoundTrip + Margin;
                bool stopped = bundle.Silence > detour;
                double? rate = pace.Rate;
                TimeSpan wait = rate is null ? detour : Seconds(Math.Max(0, end - bundle.ContentPosition) / rate.Value);
                if (!stopped && (rate is null || wait <= detour + Seconds(content.Size / rate.Value)))
                {
                    // Looked at again in time to notice that the stream has stopped.
                    await Task.Delay(wait < detour ? wait + Margin : detour, time, _stop.Token);
                }
                else if (!await FetchAsync(content))
                {
                    await Task.Delay(pause, time, _stop.Token);
                    pause = TimeSpan.FromTicks(Math.Min(LongestPause.Ticks, pause.Ticks * 2));
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // the stream has brought everything, or nobody wants it any more
        }
        finally
        {
            lock (_lock)
            {
                _wanted.Remove(content.Digest);
            }
        }
    }

    /// <summary>False if it is worth another try.</summary>
    private async Task<bool> FetchAsync(ContentRef content)
    {
        await _lanes.WaitAsync(_stop.Token);
        try
        {
            if (objects.Contains(content.Digest))
            {
                return true;
            }

            using ObjectWriter writer = objects.BeginWrite(content.Size);
            await bundle.FetchAsync(content, bytes => writer.Write(bytes.Span), _stop.Token);
            writer.Commit(content.Digest);
            board.Arrived(content.Digest);
            LibraryLog.Jumped(logger, content.Digest.ToString(), content.Size);
            return true;
        }
        catch (FailureException e)
        {
            // Whoever waits goes on waiting for the stream: it is not worse off than before.
            _refused |= e.Error.Kind is not (ErrorKind.Unavailable or ErrorKind.DataCorrupt);
            LibraryLog.NotJumped(logger, content.Digest.ToString(), e.Error.Message);
            return false;
        }
        finally
        {
            _lanes.Release();
        }
    }

    /// <summary>An hour stands for "never".</summary>
    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(double.IsNaN(seconds) ? 0 : Math.Min(seconds, 3600));
}
