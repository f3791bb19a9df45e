using System.Buffers;
using Google.Protobuf;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// A call in which both sides send messages. One writer and one reader at a time, which may be different ones. A peer may send its headers only with its first message, so
/// reading can wait for a write. Dispose ends the call, cancelling it if it is still running.
/// </summary>
public sealed class GrpcDuplexCall<TRequest, TResponse> : IAsyncDisposable
    where TRequest : class, IMessage<TRequest>, new()
    where TResponse : class, IMessage<TResponse>, new()
{
    private readonly GrpcClientCall<TResponse> _call;
    private readonly GrpcDuplexContent _content;
    private readonly Task _headers;
    private readonly ArrayBufferWriter<byte> _frame = new();

    /// <summary>A writer whose write broke reads too, to learn the status.</summary>
    private readonly SemaphoreSlim _reading = new(1);

    internal GrpcDuplexCall(GrpcClientCall<TResponse> call, GrpcDuplexContent content)
    {
        _call = call;
        _content = content;
        _headers = call.SendAsync();
    }

    /// <summary>Sends one message; waits while the peer's flow-control window is full.</summary>
    /// <exception cref="FailureException">The call has failed, with the peer's reason if it gave one.</exception>
    public async Task WriteAsync(TRequest message)
    {
        if (_content.IsComplete)
        {
            throw new InvalidOperationException("a message was written after Complete");
        }

        // Headers that never get out (nobody listens) show up in _headers only.
        if (!_content.Stream.IsCompleted && await Task.WhenAny(_content.Stream, _headers) == _headers)
        {
            await _headers;
        }

        _frame.ResetWrittenCount();
        GrpcFrame.Write(_frame, message);
        try
        {
            Stream stream = await _content.Stream;
            await stream.WriteAsync(_frame.WrittenMemory, _call.CancellationToken);
            await stream.FlushAsync(_call.CancellationToken);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException or ObjectDisposedException)
        {
            // A peer that ends the call stops reading it: its status says why, and the broken write is only the symptom.
            while (await ReadAsync() is not null)
            {
            }

            throw _call.Translate(e);
        }
    }

    /// <summary>Half-closes: no more messages will be written.</summary>
    public void Complete() => _content.Complete();

    /// <summary>The next message; null once the peer has ended the call with status OK. A call that has failed fails every further read alike.</summary>
    public async ValueTask<TResponse?> ReadAsync()
    {
        await _headers;
        await _reading.WaitAsync();
        try
        {
            return await _call.ReadAsync();
        }
        finally
        {
            _reading.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Not Complete: an abandoned request must not look like a finished one.
        await _call.CancelIfRunningAsync();
        await _headers.ContinueWith(static headers => _ = headers.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        await _call.DisposeAsync();
        _content.Dispose();
        _reading.Dispose();
    }
}
