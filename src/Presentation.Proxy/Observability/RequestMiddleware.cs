using System.Collections;
using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Starlight.Domain.Proxies;
using Starlight.Presentation.Proxy.Access;

namespace Starlight.Presentation.Proxy.Observability;

/// <summary>
/// Gives every request a name: the caller's <c>X-Request-Id</c> or one of ours, on the answer, in every JSON log entry and in the trace. One log line per request, at debug level for probes.
/// </summary>
internal sealed class RequestMiddleware(RequestDelegate next, ILogger<RequestMiddleware> logger)
{
    public const string Header = "X-Request-Id";

    private const int MaxLength = 128;

    public async Task InvokeAsync(HttpContext context)
    {
        if (context.Request.Headers[Header] is [{ } given] && IsAcceptable(given))
        {
            context.TraceIdentifier = given;
        }

        context.Response.Headers[Header] = context.TraceIdentifier;
        long started = Stopwatch.GetTimestamp();
        using IDisposable? scope = logger.BeginScope(new RequestScope(context.TraceIdentifier));
        try
        {
            await next(context);
        }
        finally
        {
            Describe(context);
            LogLevel level = context.GetEndpoint()?.Metadata.GetMetadata<Unlimited>() is null ? LogLevel.Information : LogLevel.Debug;
            if (logger.IsEnabled(level))
            {
                string account = context.Features.Get<Account>()?.Name is { Length: > 0 } name ? name : "-";
                ProxyLog.Served(
                    logger, level, context.Request.Method, context.Request.Path, context.Response.StatusCode, Stopwatch.GetElapsedTime(started).TotalMilliseconds, account, AccountAuthentication.AddressOf(context), WorkerOf(context), context.TraceIdentifier);
            }
        }
    }

    /// <summary>What the caller says; for people who look for one worker's requests, and nothing is decided by it.</summary>
    private static string WorkerOf(HttpContext context) => context.Request.Headers[WorkerName.Header] is [{ } name] && WorkerName.IsAcceptable(name) ? name : "-";

    /// <summary>It goes into logs and headers: no spaces, quotes or control characters.</summary>
    private static bool IsAcceptable(string id) => id.Length is > 0 and <= MaxLength && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':' or '/' or '+' or '=' or '@');

    /// <summary>What OpenTelemetry's conventions for HTTP servers ask of a span (opentelemetry.io/docs/specs/semconv/http/http-spans).</summary>
    private static void Describe(HttpContext context)
    {
        if (Activity.Current is not { IsAllDataRequested: true } span)
        {
            return;
        }

        string? route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText;
        span.DisplayName = route is null ? context.Request.Method : $"{context.Request.Method} {route}";
        span.SetTag("http.route", route);
        span.SetTag("http.request.method", context.Request.Method);
        span.SetTag("http.response.status_code", context.Response.StatusCode);
        span.SetTag("starlight.request_id", context.TraceIdentifier);
    }

    /// <summary>In every JSON entry that is written for the request. ASP.NET's own scope has been made before the caller's id is known.</summary>
    private sealed class RequestScope(string id) : IReadOnlyList<KeyValuePair<string, object?>>
    {
        public int Count => 1;

        public KeyValuePair<string, object?> this[int index] => index == 0 ? new("Request", id) : throw new ArgumentOutOfRangeException(nameof(index));

        public IEnumerator<KeyValuePair<string, object?>> GetEnumerator()
        {
            yield return this[0];
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        public override string ToString() => "Request:" + id;
    }
}
