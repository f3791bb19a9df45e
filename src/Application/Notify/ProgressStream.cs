namespace Starlight.Application.Notify;

/// <summary>Tells how far a stream has been read, a few times per second at most so that telling costs nothing.</summary>
internal sealed class ProgressStream(Stream inner, IProgress<long> progress) : Stream
{
    /// <summary>In bytes. Arbitrary: about ten reports a second at 100 Mbit/s.</summary>
    private const long Step = 1 << 20;

    private long _read;
    private long _reported;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _read;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Counted(inner.Read(buffer, offset, count));

    public override int Read(Span<byte> buffer) => Counted(inner.Read(buffer));

    public override async Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        Counted(await inner.ReadAsync(buffer.AsMemory(offset, count), cancellationToken));

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => Counted(await inner.ReadAsync(buffer, cancellationToken));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private int Counted(int read)
    {
        _read += read;
        if (_read - _reported >= Step || (read == 0 && _read != _reported))
        {
            _reported = _read;
            progress.Report(_read);
        }

        return read;
    }
}
