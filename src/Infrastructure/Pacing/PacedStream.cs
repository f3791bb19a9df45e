namespace Starlight.Infrastructure.Pacing;

/// <summary>Makes its reader wait three times as long as it worked, whenever somebody is being served.</summary>
internal sealed class PacedStream(Stream inner, BackgroundPace pace, TimeProvider time) : Stream
{
    /// <summary>A quarter of the time is for the work.</summary>
    private const int Rest = 3;

    /// <summary>Shorter rests are saved up: timers are no finer than this. In milliseconds.</summary>
    private const double Least = 20;

    /// <summary>So that the work notices soon that nobody is being served any more. In milliseconds.</summary>
    private const double Most = 500;

    private long _handedOut;
    private double _owed;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_handedOut != 0 && pace.IsBusy)
        {
            _owed += time.GetElapsedTime(_handedOut).TotalMilliseconds * Rest;
            if (_owed >= Least)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(_owed, Most)), time, cancellationToken);
                _owed = 0;
            }
        }

        int read = await inner.ReadAsync(buffer, cancellationToken);
        _handedOut = time.GetTimestamp();
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
