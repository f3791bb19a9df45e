using System.Runtime.CompilerServices;
using Starlight.Domain.Content;

namespace Starlight.Application.Preparation;

/// <summary>
/// Images whose learned order has changed, which leaves the bundles that were prepared for them behind. Traces come in bursts, when a deployment goes round, and each may change the order: so an
/// image is handed out when its order has rested for a while. In memory and bounded: preparing is a favour. Any number of writers, one reader.
/// </summary>
public sealed class ChangedOrders(TimeProvider time)
{
    /// <summary>An order that never rests is followed this many rests after its first change, and so at most that often.</summary>
    private const int MaxRests = 5;

    /// <summary>As for <see cref="ImagesToPrepare"/>. What comes on top is not noted.</summary>
    private const int MaxWaiting = 256;

    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _added = new(0);
    private readonly Dictionary<Digest, (DateTimeOffset First, DateTimeOffset Last)> _changed = [];

    /// <summary>The image's order is another one from now on. Does not wait.</summary>
    public void Note(Digest image)
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_gate)
        {
            if (_changed.TryGetValue(image, out (DateTimeOffset First, DateTimeOffset Last) noted))
            {
                _changed[image] = (noted.First, now);
            }
            else if (_changed.Count < MaxWaiting)
            {
                _changed.Add(image, (now, now));
                _added.Release();
            }
        }
    }

    /// <summary>Each image when its order has rested; again when it changes after that.</summary>
    /// <param name="rest">So long.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async IAsyncEnumerable<Digest> ReadAllAsync(TimeSpan rest, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            // One count for each image that waits: what is added meanwhile rests no shorter than what is waited for.
            await _added.WaitAsync(cancellationToken);
            while (true)
            {
                (Digest image, TimeSpan left) = Next(rest);
                if (left <= TimeSpan.Zero)
                {
                    yield return image;
                    break;
                }

                await Task.Delay(left, time, cancellationToken);
            }
        }
    }

    private (Digest Image, TimeSpan Left) Next(TimeSpan rest)
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_gate)
        {
            (Digest image, DateTimeOffset due) = _changed
                .Select(c => (c.Key, Due: c.Value.Last + rest < c.Value.First + (MaxRests * rest) ? c.Value.Last + rest : c.Value.First + (MaxRests * rest)))
                .MinBy(c => c.Due);
            if (due <= now)
            {
                _changed.Remove(image);
            }

            return (image, due - now);
        }
    }
}
