using Starlight.Domain.Proxies;
using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>
/// A response body that counts what came and gives up on silence: a link that went away without a word (a moved edge node, a dead NAT entry) would otherwise
/// keep the read waiting for ever.
/// </summary>
internal sealed class ReceivedStream(Stream inner, ProxyProfile proxy, Action<int> received) : ForwardReadStream
{
    /// <summary>A slow link still delivers a packet a minute; a dead one never does.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // Nobody is left behind who still reads: the buffer is somebody else's as soon as this returns.
        using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        int count;
        try
        {
            count = await inner.ReadAsync(buffer, patience.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested && patience.IsCancellationRequested)
        {
            throw ProxyErrors.Stalled(proxy, Patience);
        }
        catch (HttpRequestException e)
        {
            throw new IOException(e.Message, e);
        }

        received(count);
        return count;
    }
}
