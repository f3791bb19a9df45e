using System.Net.Http.Headers;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>
/// The parts of one bundle that come ahead of their turn, in order and without gaps, and who brings them. With n connections, of which one brings the bundle's beginning:
/// <code>
/// 0          first/n                  first                    first + second
/// | beginning | n - 1 parts, at once  | n - 2 parts, as soon as | the rest, on the connection
/// |           |                       | connections are free    | that is free last
/// </code>
/// The second parts are longer because the connections know the line better by then; nobody waits in between but for a round trip, which the others use.
/// </summary>
internal sealed class StripeSet : IDisposable
{
    /// <summary>What the first parts have together with the beginning: what comes in the first round trips. Most updates are not longer.</summary>
    private const int First = 1 << 20;

    /// <summary>What the second parts have together. With the first it is what a pull may hold in memory, besides what the rest is ahead (<see cref="Stripe"/>).</summary>
    private const int Second = 3 << 20;

    private int _working;

    /// <param name="connections">At least 2, the one with the beginning included.</param>
    public StripeSet(int connections)
    {
        int first = First / connections;
        int second = Second / Math.Max(1, connections - 2);
        List<Stripe> parts = [.. Enumerable.Range(1, connections - 1).Select(i => new Stripe((long)i * first, first))];
        parts.AddRange(Enumerable.Range(0, connections - 2).Select(i => new Stripe(parts[connections - 2].End + ((long)i * second), second)));
        parts.Add(new Stripe(parts[^1].End, length: null));
        Parts = parts;
    }

    public IReadOnlyList<Stripe> Parts { get; }

    private long _bundleLength = -1;

    /// <summary>Of the whole bundle; null as long as no answer has told it.</summary>
    public long? BundleLength => Volatile.Read(ref _bundleLength) is >= 0 and var length ? length : null;

    /// <summary>Begins to receive, over connections that are the callers' again when the set has done with them.</summary>
    /// <param name="lanes">One fewer than there are connections.</param>
    /// <param name="ask">Asks for a range on one of them.</param>
    /// <param name="finished">Told when there is no more for one of them to bring, or it is not good.</param>
    public void Start(IReadOnlyCollection<ProxyLane> lanes, Func<ProxyLane, RangeHeaderValue, CancellationToken, Task<HttpResponseMessage>> ask, Action<ProxyLane> finished)
    {
        _working = lanes.Count;
        foreach (ProxyLane lane in lanes)
        {
            _ = ReceiveAsync(lane, ask, finished);
        }
    }

    /// <summary>Gives up what has not been received.</summary>
    public void Dispose()
    {
        foreach (Stripe part in Parts)
        {
            part.Dispose();
        }
    }

    private async Task ReceiveAsync(ProxyLane lane, Func<ProxyLane, RangeHeaderValue, CancellationToken, Task<HttpResponseMessage>> ask, Action<ProxyLane> finished)
    {
        try
        {
            foreach (Stripe part in Parts)
            {
                if (part.Start >= BundleLength || !await part.ReceiveAsync((range, token) => ask(lane, range, token)))
                {
                    break;
                }

                Interlocked.CompareExchange(ref _bundleLength, part.BundleLength ?? -1, -1);
            }
        }
        finally
        {
            finished(lane);
            if (Interlocked.Decrement(ref _working) == 0)
            {
                foreach (Stripe part in Parts)
                {
                    part.Abandon();
                }
            }
        }
    }
}
