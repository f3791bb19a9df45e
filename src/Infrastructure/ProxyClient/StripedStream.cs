using System.Net.Http.Headers;
using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>
/// A bundle whose parts come over several connections at once, read as one stream: 1. from the answer that begins at its beginning, up to a part that is on its way; 2. from that part and those behind
/// it, each where the one before ends, while the first answer is given up; 3. what a part does not bring comes from another answer, which takes the first one's place. Used by one task at a time.
/// </summary>
internal sealed class StripedStream : ForwardReadStream
{
    private readonly Func<long, CancellationToken, Task<HttpResponseMessage>> _reopen;
    private readonly EntityTagHeaderValue _tag;
    private readonly StripeSet _stripes;
    private readonly Queue<Stripe> _ahead;
    private HttpResponseMessage? _main;
    private Stripe? _current;
    private long _position;
    private long? _length;

    /// <param name="main">Begins with the bundle's first byte and has all of it. Owned.</param>
    /// <param name="tag">The bundle's.</param>
    /// <param name="stripes">What is behind its beginning. Owned.</param>
    /// <param name="reopen">Gets all from an offset on; an IOException if that cannot be had now.</param>
    public StripedStream(HttpResponseMessage main, EntityTagHeaderValue tag, StripeSet stripes, Func<long, CancellationToken, Task<HttpResponseMessage>> reopen)
    {
        (_main, _tag, _ahead, _reopen) = (main, tag, new Queue<Stripe>(stripes.Parts), reopen);
        _stripes = stripes;
        _length = main.Content.Headers.ContentLength;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            int count;
            if (_main is not null)
            {
                // 1.
                if (TryLeaveMain())
                {
                    continue;
                }

                int most = _ahead.TryPeek(out Stripe? next) ? (int)Math.Min(buffer.Length, next.Start - _position) : buffer.Length;
                count = await (await _main.Content.ReadAsStreamAsync(cancellationToken)).ReadAsync(buffer[..most], cancellationToken);
            }
            else
            {
                // 2.
                count = await ReadStripeAsync(_current!, buffer, cancellationToken);
                if (count == 0 && _position != _length && _current!.End != long.MaxValue)
                {
                    await GoOnAsync(cancellationToken);
                    continue;
                }
            }

            _position += count;
            return count;
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _main?.Dispose();
            _stripes.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>True if a part goes on here. One that has not even begun by now is late: its bytes come sooner from where the ones before came from.</summary>
    private bool TryLeaveMain()
    {
        while (_ahead.TryPeek(out Stripe? next) && next.Start <= _position)
        {
            _ahead.Dequeue();
            if (next.Start == _position && next.HasBegun(_tag))
            {
                _main!.Dispose();
                (_main, _current) = (null, next);
                return true;
            }

            next.Dispose();
        }

        return false;
    }

    private async ValueTask<int> ReadStripeAsync(Stripe stripe, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _length ??= _stripes.BundleLength ?? stripe.BundleLength;
        try
        {
            return await stripe.ReadAsync(buffer, cancellationToken);
        }
        catch (IOException) when (stripe.End != long.MaxValue)
        {
            return 0;
        }
    }

    /// <summary>Behind the last byte of a part.</summary>
    private async Task GoOnAsync(CancellationToken cancellationToken)
    {
        Stripe ended = _current!;
        ended.Dispose();
        if (_position == ended.End && _ahead.TryDequeue(out _current))
        {
            // What is shorter than the parts that were asked for does not get here: nobody reads beyond a bundle's trailer.
            if (await _current.BeginsAsync(_tag, cancellationToken))
            {
                return;
            }

            _current.Dispose();
        }

        // 3.
        _main = await _reopen(_position, cancellationToken);
        _current = null;
    }
}
