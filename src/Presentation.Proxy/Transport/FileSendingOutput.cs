using System.IO.Pipelines;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Starlight.Infrastructure.Contents;

namespace Starlight.Presentation.Proxy.Transport;

/// <summary>
/// The output of a plain-text HTTP/1.1 connection that can also send parts of files without copying them (docs/adr/0026-sendfile.md). All else goes through the connection's own pipe.
/// A part is sent on the socket itself once everything before it has left the pipe: the pipe must be one whose flush waits for that (<see cref="PipeBytes"/>).
/// </summary>
internal sealed class FileSendingOutput : PipeWriter, IFileSender
{
    /// <summary>What may lie in a connection's pipe (SocketTransportOptions.MaxWriteBufferSize): with one byte a flush returns when the kernel has everything.</summary>
    public const int PipeBytes = 1;

    /// <summary>Longest part. Never read or written, so it is not resident.</summary>
    private static readonly byte[] StandIn = GC.AllocateUninitializedArray<byte>(CachedBundle.SendLength);

    private readonly PipeWriter _pipe;
    private readonly Socket _socket;
    private readonly ConnectionContext _connection;
    private (FileStream File, long Offset, int Count)? _announced;
    private (FileStream File, long Offset, int Count)? _taken;
    private bool _isAdvanced;

    private FileSendingOutput(ConnectionContext connection, Socket socket) => (_connection, _socket, _pipe) = (connection, socket, connection.Transport.Output);

    public override bool CanGetUnflushedBytes => _pipe.CanGetUnflushedBytes;

    public override long UnflushedBytes => _pipe.UnflushedBytes + (_isAdvanced ? _taken!.Value.Count : 0);

    /// <summary>Gives the connection such an output, if it is a socket's.</summary>
    public static void Attach(ConnectionContext connection)
    {
        if (connection.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket)
        {
            FileSendingOutput output = new(connection, socket);
            connection.Transport = new Duplex(connection.Transport.Input, output);
            connection.Features.Set<IFileSender>(output);
        }
    }

    public void Announce(FileStream file, long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, StandIn.Length);
        (_announced, _taken) = ((file, offset, count), null);
    }

    public bool IsTaken()
    {
        _announced = null;
        return _taken is not null;
    }

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_announced is { } part && part.Count == sizeHint)
        {
            (_announced, _taken) = (null, part);
            return StandIn.AsMemory(0, sizeHint);
        }

        return _pipe.GetMemory(sizeHint);
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        if (_taken is not { } part || _isAdvanced)
        {
            _pipe.Advance(bytes);
            return;
        }

        _isAdvanced = bytes == part.Count ? true : throw new InvalidOperationException($"{bytes} bytes of a part of {part.Count}");
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) =>
        _isAdvanced ? SendAsync(_taken!.Value, cancellationToken) : _pipe.FlushAsync(cancellationToken);

    public override void CancelPendingFlush() => _pipe.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => _pipe.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => _pipe.CompleteAsync(exception);

    private async ValueTask<FlushResult> SendAsync((FileStream File, long Offset, int Count) part, CancellationToken cancellationToken)
    {
        FlushResult before = await _pipe.FlushAsync(cancellationToken);
        (_taken, _isAdvanced) = (null, false);
        if (before.IsCompleted || before.IsCanceled)
        {
            return before;
        }

        using Transmission transmission = new();
        using CancellationTokenRegistration aborted = cancellationToken.UnsafeRegister(static connection => ((ConnectionContext)connection!).Abort(), _connection);
        if (await transmission.SendAsync(_socket, part.File, part.Offset, part.Count) == SocketError.Success)
        {
            return new FlushResult(isCanceled: false, isCompleted: false);
        }

        // As when the pipe's reader gives up: the other side is gone, and what it has is not the whole.
        _connection.Abort();
        return new FlushResult(isCanceled: false, isCompleted: true);
    }

    private sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input { get; } = input;

        public PipeWriter Output { get; } = output;
    }

    /// <summary>One sendfile(2), repeated by the framework until all is sent, as a task.</summary>
    private sealed class Transmission : SocketAsyncEventArgs, IValueTaskSource<SocketError>, IThreadPoolWorkItem
    {
        private ManualResetValueTaskSourceCore<SocketError> _done;

        public Transmission()
            : base(true)
        {
        }

        public ValueTask<SocketError> SendAsync(Socket socket, FileStream file, long offset, int count)
        {
            SendPacketsElements = [new SendPacketsElement(file, offset, count)];
            try
            {
                if (!socket.SendPacketsAsync(this))
                {
                    // A client that reads as fast as this sends would keep the thread to the end of the file.
                    SendingTurns.Wait(this);
                }
            }
            catch (ObjectDisposedException)
            {
                return ValueTask.FromResult(SocketError.OperationAborted);
            }

            return new ValueTask<SocketError>(this, _done.Version);
        }

        void IThreadPoolWorkItem.Execute() => _done.SetResult(SocketError);

        SocketError IValueTaskSource<SocketError>.GetResult(short token) => _done.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource<SocketError>.GetStatus(short token) => _done.GetStatus(token);

        void IValueTaskSource<SocketError>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) => _done.OnCompleted(continuation, state, token, flags);

        protected override void OnCompleted(SocketAsyncEventArgs e) => _done.SetResult(e.SocketError);
    }
}
