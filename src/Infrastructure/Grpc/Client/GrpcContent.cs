using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;

namespace Starlight.Infrastructure.Grpc;

/// <summary>A request of exactly one message.</summary>
internal sealed class GrpcSingleContent : HttpContent
{
    private static readonly MediaTypeHeaderValue s_contentType = new(GrpcProtocol.ContentType);

    private readonly ArrayBufferWriter<byte> _frame;

    public GrpcSingleContent(IMessage message)
    {
        _frame = new ArrayBufferWriter<byte>(GrpcFrame.HeaderSize + message.CalculateSize() + 1);
        GrpcFrame.Write(_frame, message);
        Headers.ContentType = s_contentType;
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        stream.WriteAsync(_frame.WrittenMemory, cancellationToken).AsTask();

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override bool TryComputeLength(out long length)
    {
        length = _frame.WrittenCount;
        return true;
    }
}

/// <summary>
/// A request whose messages are written while the response is read: hands out the HTTP/2 request stream and keeps it open until <see cref="Complete"/>, which half-closes the call.
/// </summary>
internal sealed class GrpcDuplexContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public GrpcDuplexContent() => Headers.ContentType = new MediaTypeHeaderValue(GrpcProtocol.ContentType);

    /// <summary>Completes once the request headers are being sent; never, if they cannot be.</summary>
    public Task<Stream> Stream => _stream.Task;

    public bool IsComplete => _completed.Task.IsCompleted;

    public void Complete() => _completed.TrySetResult();

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        _stream.TrySetResult(stream);
        await _completed.Task.WaitAsync(cancellationToken);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
