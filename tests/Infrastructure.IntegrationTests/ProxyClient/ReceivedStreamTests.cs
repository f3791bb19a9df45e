using Starlight.Domain.Proxies;
using Starlight.Infrastructure.ProxyClient;

namespace Starlight.Infrastructure.IntegrationTests.ProxyClient;

public sealed class ReceivedStreamTests
{
    private static readonly ProxyProfile Proxy = ProxyProfile.Create("home", "http", "proxy.example", null, null).Value;

    /// <summary>Buffers come from a pool: a read that goes on behind its caller's back would write into somebody else's.</summary>
    [Fact]
    public async Task Read_WhenGivenUp_LeavesNobodyBehindWhoStillReads()
    {
        using Lingering inner = new();
        using ReceivedStream stream = new(inner, Proxy, static _ => { });
        using CancellationTokenSource stop = new();
        Task<int> read = stream.ReadAsync(new byte[10], stop.Token).AsTask();
        await stop.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(() => read);
        inner.Ended.ShouldBeTrue();
    }

    /// <summary>Takes a moment to notice that nobody wants its bytes any more.</summary>
    private sealed class Lingering : MemoryStream
    {
        public bool Ended { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
                return 0;
            }
            finally
            {
                await Task.Delay(50, CancellationToken.None);
                buffer.Span.Fill(1);
                Ended = true;
            }
        }
    }
}
