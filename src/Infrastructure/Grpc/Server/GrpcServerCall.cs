using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// One call from its headers to its trailers. HTTP frames of a successful unary call:
/// <code>
///  → HEADERS  :method POST, :path /service/method, content-type application/grpc, te trailers [, grpc-timeout][, metadata]
///  → DATA     frame                                                            END_STREAM
///  ← HEADERS  :status 200, content-type application/grpc
///  ← DATA     frame
///  ← HEADERS  grpc-status 0                                                    END_STREAM
/// </code>
/// A call that fails before its first response message is answered with a single HEADERS block that holds the status ("Trailers-Only").
/// </summary>
internal sealed class GrpcServerCall : IDisposable
{
    /// <summary>Timers take at most about 49 days; a deadline further away than that is as good as none.</summary>
    private static readonly TimeSpan s_longestTimer = TimeSpan.FromDays(49);

    private readonly HttpContext _http;
    private readonly int _maxReceiveSize;
    private readonly CancellationTokenSource _cancellation;
    private bool _wroteMessage;

    private GrpcServerCall(HttpContext http, int maxReceiveSize, TimeSpan? timeout)
    {
        _http = http;
        _maxReceiveSize = maxReceiveSize;
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        DateTimeOffset? deadline = null;
        if (timeout < s_longestTimer)
        {
            deadline = DateTimeOffset.UtcNow + timeout;
            _cancellation.CancelAfter(timeout.Value);
        }

        Context = new GrpcCallContext(http, deadline, _cancellation.Token);
    }

    public GrpcCallContext Context { get; }

    public CancellationToken CancellationToken => _cancellation.Token;

    /// <summary>Runs <paramref name="body"/> and ends the call with the status of its outcome. Never throws for what a handler or a peer does.</summary>
    public static async Task RunAsync(HttpContext http, GrpcServerLimits limits, ILogger logger, Func<GrpcServerCall, Task> body)
    {
        // 1. What is not a gRPC call gets an HTTP answer.
        if (!HttpProtocol.IsHttp2(http.Request.Protocol))
        {
            http.Response.StatusCode = StatusCodes.Status426UpgradeRequired;
            http.Response.Headers.Upgrade = "HTTP/2";
            return;
        }

        if (!GrpcProtocol.IsGrpcContentType(http.Request.ContentType))
        {
            http.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }

        // 2. A stream may be long and idle: Kestrel's limits for ordinary requests do not fit. Messages have their own limit.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } bodySize)
        {
            bodySize.MaxRequestBodySize = null;
        }

        if (http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } dataRate)
        {
            dataRate.MinDataRate = null;
        }

        http.Response.ContentType = GrpcProtocol.ContentType;
        http.Response.Headers[GrpcProtocol.AcceptEncodingHeader] = GrpcProtocol.Identity;

        // 3. Headers that decide whether the call can run at all.
        string? encoding = http.Request.Headers[GrpcProtocol.EncodingHeader];
        if (encoding is not null && encoding != GrpcProtocol.Identity)
        {
            Finish(http, false, GrpcStatusCode.Unimplemented, $"message encoding '{encoding}' is not supported: send identity", "Grpc.UnsupportedEncoding");
            return;
        }

        TimeSpan? timeout = null;
        if (http.Request.Headers[GrpcProtocol.TimeoutHeader] is [{ } timeoutText, ..])
        {
            timeout = GrpcProtocol.ParseTimeout(timeoutText);
            if (timeout is null)
            {
                Finish(http, false, GrpcStatusCode.InvalidArgument, $"'{timeoutText}' is not a grpc-timeout: send up to 8 digits and one of H M S m u n", "Grpc.BadTimeout");
                return;
            }
        }

        // 4. The handler.
        using GrpcServerCall call = new(http, limits.MaxReceiveMessageSize, timeout);
        try
        {
            await body(call);
            Finish(http, true, GrpcStatusCode.Ok, "", null);
        }
        catch (FailureException failure)
        {
            Finish(http, call._wroteMessage, GrpcStatusMap.ToStatus(failure.Error.Kind), failure.Error.Message, failure.Error.Code);
        }
        catch (GrpcWireException broken)
        {
            GrpcLog.BrokenRequest(logger, http.Request.Path, broken.Message);
            Finish(http, call._wroteMessage, broken.Status, broken.Message, broken.Code);
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody is left to tell, and whatever was thrown follows from that: reads and writes of an aborted request fail in many ways.
            GrpcLog.CallerGone(logger, http.Request.Path);
        }
        catch (OperationCanceledException) when (call.CancellationToken.IsCancellationRequested)
        {
            Finish(http, call._wroteMessage, GrpcStatusCode.DeadlineExceeded, "the deadline of the call has passed", "Grpc.DeadlineExceeded");
        }
        catch (OperationCanceledException)
        {
            Finish(http, call._wroteMessage, GrpcStatusCode.Cancelled, "the operation was cancelled by the server", "Grpc.Cancelled");
        }
        catch (Exception unforeseen)
        {
            // The border of the process: one call must not take the connection, and with it all other calls of containerd, along.
            GrpcLog.Unforeseen(logger, http.Request.Path, unforeseen);
            Finish(http, call._wroteMessage, GrpcStatusCode.Internal, "internal error: see the log of the daemon", "Grpc.Internal");
        }
    }

    public static void Finish(HttpContext http, bool wroteMessage, GrpcStatusCode status, string message, string? code)
    {
        // Trailers after a message; a single HEADERS block otherwise.
        IHeaderDictionary target = wroteMessage || http.Response.HasStarted
            ? http.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers
            : http.Response.Headers;
        target[GrpcProtocol.StatusHeader] = ((int)status).ToString(CultureInfo.InvariantCulture);
        if (message.Length > 0)
        {
            target[GrpcProtocol.MessageHeader] = GrpcProtocol.EncodeMessage(message);
        }

        if (code is not null)
        {
            target[GrpcProtocol.ErrorCodeHeader] = code;
        }
    }

    /// <summary>The one message of a unary request.</summary>
    public async Task<T> ReadSingleAsync<T>(MessageParser<T> parser)
        where T : class, IMessage<T>
    {
        T message = await ReadAsync(parser) ?? throw new GrpcWireException(GrpcStatusCode.Internal, "Grpc.MissingMessage", "the request has no message");
        return await ReadAsync(parser) is null
            ? message
            : throw new GrpcWireException(GrpcStatusCode.Internal, "Grpc.ExtraMessage", "the request has more than one message");
    }

    /// <summary>The messages of a streaming request until the caller half-closes.</summary>
    public async IAsyncEnumerable<T> ReadAllAsync<T>(MessageParser<T> parser, [EnumeratorCancellation] CancellationToken cancellationToken = default)
        where T : class, IMessage<T>
    {
        while (await ReadAsync(parser) is { } message)
        {
            yield return message;
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    public void Append(IMessage message)
    {
        _wroteMessage = true;
        GrpcFrame.Write(_http.Response.BodyWriter, message);
    }

    public ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken) => _http.Response.BodyWriter.FlushAsync(cancellationToken);

    public void Dispose() => _cancellation.Dispose();

    private ValueTask<T?> ReadAsync<T>(MessageParser<T> parser)
        where T : class, IMessage<T> => GrpcFrame.ReadAsync(_http.Request.BodyReader, parser, _maxReceiveSize, CancellationToken);
}
