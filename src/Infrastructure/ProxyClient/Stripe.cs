using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>One part of a bundle, received ahead of its turn on a connection of its own. Whatever goes wrong with it is the reader's to mend: it asks for the part again.</summary>
internal sealed class Stripe : IDisposable
{
    /// <summary>Stands for "to the end" in a range of what may still be growing (RFC 8673 section 5; the proxy's RequestedPart).</summary>
    internal const long VeryLarge = (1L << 53) - 1;

    /// <summary>What the last part, which has no end, may be ahead of the reader.</summary>
    private const int MaxAhead = 1 << 20;

    private const int SegmentLength = 32 << 10;

    /// <summary>Room for one read at least.</summary>
    private const int ReadLength = 4 << 10;

    /// <summary>For the end of an answer that nobody reads any more.</summary>
    private static readonly TimeSpan LastWait = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<EntityTagHeaderValue?> _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Pipe _pipe;
    private readonly Stream _received;

    private int _used; // 1 when somebody has begun it, or given it up

    /// <param name="start">Offset of its first byte in the bundle.</param>
    /// <param name="length">Null: to the bundle's end.</param>
    public Stripe(long start, int? length)
    {
        (Start, End) = (start, start + length ?? long.MaxValue);
        int most = length + 1 ?? MaxAhead;
        _pipe = new Pipe(new PipeOptions(pauseWriterThreshold: most, resumeWriterThreshold: most / 2, minimumSegmentSize: SegmentLength, useSynchronizationContext: false));
        _received = _pipe.Reader.AsStream();
    }

    public long Start { get; }

    /// <summary>Offset behind its last byte; <see cref="long.MaxValue"/> for the bundle's end.</summary>
    public long End { get; }

    /// <summary>Length of the whole bundle; null as long as the answer has not told it.</summary>
    public long? BundleLength { get; private set; }

    /// <summary>Whether it is on its way and part of the bundle of that tag. Does not wait.</summary>
    public bool HasBegun(EntityTagHeaderValue tag) => _begun.Task is { IsCompletedSuccessfully: true, Result: { } named } && tag.Equals(named);

    /// <summary>The same, when that is decided.</summary>
    public async Task<bool> BeginsAsync(EntityTagHeaderValue tag, CancellationToken cancellationToken) => tag.Equals(await _begun.Task.WaitAsync(cancellationToken));

    /// <summary>0 after its last byte, which may be before <see cref="End"/>.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken) => _received.ReadAsync(buffer, cancellationToken);

    /// <summary>Gives up what has not been received. An answer that is at its end anyway gets there, so that its connection stays.</summary>
    public void Dispose()
    {
        Abandon();
        _pipe.Reader.Complete();
        _stop.CancelAfter(LastWait);
    }

    /// <summary>Nobody will begin it, if nobody has.</summary>
    public void Abandon()
    {
        if (Interlocked.Exchange(ref _used, 1) == 0)
        {
            _begun.SetResult(null);
        }
    }

    /// <summary>Asks for it and receives it, unless that was done or is of no use any more.</summary>
    /// <param name="ask">Asks for a range.</param>
    /// <returns>False if the connection, or the answer, was not good.</returns>
    public async Task<bool> ReceiveAsync(Func<RangeHeaderValue, CancellationToken, Task<HttpResponseMessage>> ask)
    {
        if (Interlocked.Exchange(ref _used, 1) != 0)
        {
            return true;
        }

        IOException? failure = null;
        bool isThat = false;
        try
        {
            using HttpResponseMessage answer = await ask(new RangeHeaderValue(Start, End == long.MaxValue ? VeryLarge : End - 1), _stop.Token);
            ContentRangeHeaderValue? sent = answer.Content.Headers.ContentRange;
            BundleLength = sent?.Length;
            isThat = answer is { StatusCode: HttpStatusCode.PartialContent, Headers.ETag.IsWeak: false } && sent?.From == Start && sent.To < End;
            if (isThat)
            {
                _begun.SetResult(answer.Headers.ETag);
                await CopyAsync(await answer.Content.ReadAsStreamAsync(_stop.Token));
            }
        }
        catch (Exception e) when (e is FailureException or HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException or UnauthorizedAccessException)
        {
            failure = new IOException(e.Message, e);
        }
        finally
        {
            // Whatever happens, nobody waits for it any longer.
            _begun.TrySetResult(null);
            await _pipe.Writer.CompleteAsync(failure);
        }

        return isThat && failure is null;
    }

    private async Task CopyAsync(Stream body)
    {
        FlushResult flushed = default;
        while (!flushed.IsCompleted && await body.ReadAsync(_pipe.Writer.GetMemory(ReadLength), _stop.Token) is > 0 and int count)
        {
            _pipe.Writer.Advance(count);
            flushed = await _pipe.Writer.FlushAsync(_stop.Token);
        }
    }
}
