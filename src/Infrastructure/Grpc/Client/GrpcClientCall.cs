using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Google.Protobuf;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// One call as its caller sees it. Everything that can go wrong comes out as a <see cref="FailureException"/>, except that a token of the caller's own ends it with
/// <see cref="OperationCanceledException"/>. Used by one reader at a time.
/// </summary>
internal sealed class GrpcClientCall<TResponse> : IAsyncDisposable
    where TResponse : class, IMessage<TResponse>, new()
{
    /// <summary>16 KiB is HTTP/2's default frame size: a read takes a whole DATA frame.</summary>
    private static readonly StreamPipeReaderOptions s_bodyOptions = new(bufferSize: 16 * 1024);

    private readonly GrpcChannel _channel;
    private readonly MessageParser<TResponse> _parser;
    private readonly TimeSpan? _timeout;
    private readonly CancellationToken _callerToken;
    private readonly CancellationTokenSource _cancellation;
    private readonly HttpRequestMessage _request;
    private HttpResponseMessage? _response;
    private PipeReader? _body;
    private bool _ended;
    private Exception? _failure;

    public GrpcClientCall(
        GrpcChannel channel, string path, MessageParser<TResponse> parser, HttpContent content, GrpcCallOptions options, CancellationToken callerToken)
    {
        _channel = channel;
        _parser = parser;
        _timeout = options.Timeout;
        _callerToken = callerToken;
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(callerToken);
        _request = new HttpRequestMessage(HttpMethod.Post, new Uri(GrpcChannel.BaseAddress, path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        HttpRequestHeaders headers = _request.Headers;
        headers.TryAddWithoutValidation("te", "trailers");
        if (_timeout is { } timeout)
        {
            headers.TryAddWithoutValidation(GrpcProtocol.TimeoutHeader, GrpcProtocol.FormatTimeout(timeout));
            _cancellation.CancelAfter(timeout);
        }

        foreach ((string name, string value) in options.Metadata ?? new Dictionary<string, string>(0))
        {
            headers.TryAddWithoutValidation(name, value);
        }
    }

    public CancellationToken CancellationToken => _cancellation.Token;

    /// <summary>Sends the request and waits for the response headers.</summary>
    public async Task SendAsync()
    {
        try
        {
            _response = await _channel.Invoker.SendAsync(_request, _cancellation.Token);
            if (_response.StatusCode != HttpStatusCode.OK)
            {
                ThrowIfFailed(_response.Headers, missing: GrpcStatusMap.FromHttpStatus((int)_response.StatusCode));
            }

            if (!GrpcProtocol.IsGrpcContentType(_response.Content.Headers.ContentType?.MediaType))
            {
                throw new FailureException(_channel.Peer.NotGrpc(_channel.Address, $"content type '{_response.Content.Headers.ContentType}'"));
            }

            if (_response.Headers.Contains(GrpcProtocol.StatusHeader))
            {
                _ended = true;
                ThrowIfFailed(_response.Headers, missing: GrpcStatusCode.Internal);
                return;
            }

            _body = PipeReader.Create(await _response.Content.ReadAsStreamAsync(_cancellation.Token), s_bodyOptions);
        }
        catch (Exception e) when (e is not FailureException)
        {
            throw Translate(e);
        }
    }

    /// <summary>The next message; null once the peer has ended the call with status OK.</summary>
    public async ValueTask<TResponse?> ReadAsync()
    {
        if (_failure is not null)
        {
            throw _failure;
        }

        if (_ended || _body is null)
        {
            return null;
        }

        try
        {
            TResponse? message = await GrpcFrame.ReadAsync(_body, _parser, _channel.MaxReceiveMessageSize, _cancellation.Token);
            if (message is null)
            {
                _ended = true;
                ThrowIfFailed(_response!.TrailingHeaders, missing: GrpcStatusCode.Internal);
            }

            return message;
        }
        catch (Exception e)
        {
            throw _failure = e is FailureException ? e : Translate(e);
        }
    }

    /// <summary>Ends the call; one that is still running is cancelled (RST_STREAM), which the peer sees as its token firing.</summary>
    public Task CancelIfRunningAsync() => _ended ? Task.CompletedTask : _cancellation.CancelAsync();

    public async ValueTask DisposeAsync()
    {
        await CancelIfRunningAsync();

        if (_body is not null)
        {
            await _body.CompleteAsync();
        }

        _response?.Dispose();
        _request.Dispose();
        _cancellation.Dispose();
    }

    /// <summary>The one place that gives meaning to what HttpClient throws. Never returns a plain transport exception.</summary>
    public Exception Translate(Exception e)
    {
        if (_callerToken.IsCancellationRequested)
        {
            return new OperationCanceledException(e.Message, e, _callerToken);
        }

        if (_timeout is { } timeout && _cancellation.IsCancellationRequested)
        {
            return new FailureException(_channel.Peer.TimedOut(_channel.Address, timeout), e);
        }

        if (e is GrpcWireException wire)
        {
            return new FailureException(GrpcStatusMap.ToError(wire.Status, $"{_channel.Peer.Name}: {wire.Message}", wire.Code), e);
        }

        for (Exception? cause = e; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case SocketException { SocketErrorCode: SocketError.AccessDenied }:
                    return new FailureException(_channel.Peer.NotPermitted(_channel.Address), e);
                case SocketException when e is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError }:
                    return new FailureException(_channel.Peer.NotRunning(_channel.Address), e);
                case HttpProtocolException reset:
                    return new FailureException(FromReset(reset), e);
            }
        }

        return e switch
        {
            HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.HttpProtocolError or HttpRequestError.VersionNegotiationError } =>
                new FailureException(_channel.Peer.NotGrpc(_channel.Address, e.Message), e),
            HttpRequestException or IOException or SocketException => new FailureException(_channel.Peer.ConnectionLost(_channel.Address, (e.InnerException ?? e).Message), e),
            _ => e,
        };
    }

    /// <summary>HTTP/2 error codes of a stream or connection that was reset without a status (gRPC core, doc/PROTOCOL-HTTP2.md, "Errors").</summary>
    private Error FromReset(HttpProtocolException reset) => reset.ErrorCode switch
    {
        0x8 => new Error("Grpc.Cancelled", $"{_channel.Peer.Name} cancelled the call", ErrorKind.Cancelled),
        0xb => new Error("Grpc.EnhanceYourCalm", $"{_channel.Peer.Name} refuses more calls on this connection (ENHANCE_YOUR_CALM)", ErrorKind.ResourceExhausted),
        _ => _channel.Peer.ConnectionLost(_channel.Address, string.Create(CultureInfo.InvariantCulture, $"HTTP/2 error {reset.ErrorCode}")),
    };

    private void ThrowIfFailed(HttpResponseHeaders headers, GrpcStatusCode missing)
    {
        if (Value(headers, GrpcProtocol.StatusHeader) is not { } text)
        {
            throw new FailureException(_channel.Peer.NotGrpc(_channel.Address, $"HTTP status {(int)_response!.StatusCode}, no grpc-status, which counts as {missing}"));
        }

        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int status))
        {
            throw new FailureException(_channel.Peer.NotGrpc(_channel.Address, $"grpc-status '{text}'"));
        }

        if (status != (int)GrpcStatusCode.Ok)
        {
            string message = GrpcProtocol.DecodeMessage(Value(headers, GrpcProtocol.MessageHeader));
            throw new FailureException(GrpcStatusMap.ToError((GrpcStatusCode)status, message, Value(headers, GrpcProtocol.ErrorCodeHeader)));
        }
    }

    private static string? Value(HttpResponseHeaders headers, string name) => headers.NonValidated.TryGetValues(name, out HeaderStringValues values) ? values.ToString() : null;
}
