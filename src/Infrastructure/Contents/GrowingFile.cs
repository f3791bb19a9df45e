namespace Starlight.Infrastructure.Contents;

/// <summary>
/// A file with one writer and any number of readers that follow it. Readers never see bytes that are not written, and see the end only
/// when the writer has said that it is the end.
/// </summary>
internal sealed class GrowingFile(string path)
{
    /// <summary>Guards the fields below.</summary>
    private readonly Lock _gate = new();

    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _written;
    private bool _finished;
    private Exception? _failure;

    private bool _wanted;

    /// <summary>Created at once, so that readers can open it before the writer has begun.</summary>
    private readonly FileStream _file = new(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    public string Path { get; } = path;

    /// <summary>Somebody waits for it; it is not built ahead, or not any more.</summary>
    public bool IsWanted
    {
        get => Volatile.Read(ref _wanted);
        set => Volatile.Write(ref _wanted, value);
    }

    /// <summary>Completes when the writer is done, whatever came of it.</summary>
    public Task Build { get; set; } = Task.CompletedTask;

    public long Written
    {
        get
        {
            lock (_gate)
            {
                return _written;
            }
        }
    }

    /// <summary>Null while it grows.</summary>
    public long? FinishedLength
    {
        get
        {
            lock (_gate)
            {
                return _finished ? _written : null;
            }
        }
    }

    public Stream OpenWrite() => new Writer(this);

    public void Finish() => Change(() => _finished = true);

    public void Fail(Exception failure) => Change(() => _failure = failure);

    /// <summary>How many bytes there are beyond <paramref name="position"/>: waits until there are some; 0 means the end. Throws what the writer failed with.</summary>
    public async ValueTask<long> WaitBeyondAsync(long position, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (_written > position)
                {
                    return _written - position;
                }

                if (_failure is not null)
                {
                    throw new IOException($"the bundle could not be built: {_failure.Message}", _failure);
                }

                if (_finished)
                {
                    return 0;
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Waits for the end and returns the length. Throws what the writer failed with.</summary>
    public async Task<long> WaitFinishedAsync(CancellationToken cancellationToken)
    {
        long position = 0;
        while (await WaitBeyondAsync(position, cancellationToken) is > 0 and long more)
        {
            position += more;
        }

        return position;
    }

    private void Change(Action change)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            change();
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }

    private sealed class Writer(GrowingFile owner) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => owner.Written;
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            owner._file.Write(buffer);
            int length = buffer.Length;
            owner.Change(() => owner._written += length);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await owner._file.WriteAsync(buffer, cancellationToken);
            owner.Change(() => owner._written += buffer.Length);
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                owner._file.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
