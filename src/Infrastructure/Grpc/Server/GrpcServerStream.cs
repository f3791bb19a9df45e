using System.IO.Pipelines;
using Google.Protobuf;

namespace Starlight.Infrastructure.Grpc;

/// <summary>The response side of a streaming call. One write at a time.</summary>
public sealed class GrpcServerStream<T>
    where T : class, IMessage<T>
{
    private readonly GrpcServerCall _call;

    internal GrpcServerStream(GrpcServerCall call) => _call = call;

    /// <summary>Sends one message now; waits while the caller's flow-control window is full.</summary>
    /// <exception cref="OperationCanceledException">The caller is gone or the deadline has passed.</exception>
    public async ValueTask WriteAsync(T message)
    {
        CancellationToken cancellationToken = _call.CancellationToken;
        cancellationToken.ThrowIfCancellationRequested();
        _call.Append(message);
        FlushResult flushed = await _call.FlushAsync(cancellationToken);
        if (flushed.IsCompleted || flushed.IsCanceled)
        {
            throw new OperationCanceledException("the caller no longer reads the response");
        }
    }
}
