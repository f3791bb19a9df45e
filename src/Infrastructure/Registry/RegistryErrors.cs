using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry;

/// <summary>A fault that a later try may not meet. Never leaves this adapter: <see cref="RegistryRetry"/> repeats, or turns it into a <see cref="FailureException"/>.</summary>
internal sealed class TransientRegistryException(Error error, TimeSpan? retryAfter, Exception? inner) : Exception(error.Message, inner)
{
    public Error Error { get; } = error;

    /// <summary>What the registry asked for (RFC 9110, section 10.2.3).</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter;
}

/// <summary>Every way in which a registry can fail us, in words for the person who has to act.</summary>
internal static class RegistryErrors
{
    /// <summary>Error bodies are a few hundred bytes; more is not read. Arbitrary.</summary>
    private const int MaxErrorBody = 64 * 1024;

    /// <summary>The detail is worth a short wait only. Arbitrary.</summary>
    private static readonly TimeSpan ErrorBodyTimeout = TimeSpan.FromSeconds(5);

    public static Error Malformed(string registry, string what) =>
        new("Registry.Malformed", $"registry {registry} {what}: is it a container registry?", ErrorKind.Unavailable);

    public static Error BlobMismatch(string registry, Digest digest, string detail) =>
        new("Registry.BlobMismatch", $"registry {registry} sent a damaged blob {digest}: {detail}; try again, and push the image anew if it stays so", ErrorKind.DataCorrupt);

    public static Error ManifestMismatch(string registry, string subject, string detail) =>
        new("Registry.ManifestMismatch", $"registry {registry} sent a damaged manifest for {subject}: {detail}; try again, and push the image anew if it stays so", ErrorKind.DataCorrupt);

    public static Error NoRanges(string registry, Digest digest) =>
        new("Registry.NoRanges", $"registry {registry} does not serve parts of blob {digest}: read it as a whole", ErrorKind.Unsupported);

    public static Error RealmRefused(string registry, string realm, string why) =>
        new("Registry.RealmRefused", $"registry {registry} asks to log in at {realm}, which is refused because {why}", ErrorKind.Unauthenticated);

    public static Error RedirectRefused(string registry, Uri target, string why) =>
        new("Registry.RedirectRefused", $"registry {registry} redirects to {target.GetLeftPart(UriPartial.Authority)}, which is refused because {why}", ErrorKind.Unavailable);

    public static Error Unauthenticated(string registry, string subject, string? loginOrigin) => new(
        "Registry.Unauthenticated",
        loginOrigin is null
            ? $"registry {registry} wants a login for {subject}, or it does not exist: check the name or run 'docker login {registry}'"
            : $"registry {registry} does not accept the login from {loginOrigin} for {subject}: check it or run 'docker login {registry}'",
        ErrorKind.Unauthenticated);

    public static Error SourceSize(Digest digest, string detail) =>
        new("Registry.PushMismatch", $"blob {digest} cannot be pushed: {detail}", ErrorKind.DataCorrupt);

    /// <summary>What an answer that is not a success means. Passing faults are <see cref="TransientRegistryException"/>s.</summary>
    public static async Task<Exception> FromResponseAsync(HttpResponseMessage response, string registry, RegistryRequest request, bool loggedIn, DateTimeOffset now, CancellationToken cancellationToken)
    {
        (string code, string detail) = await ReadDetailAsync(response, cancellationToken);
        string subject = request.Subject;
        int status = (int)response.StatusCode;
        string said = detail.Length == 0 ? $"HTTP {status}" : $"HTTP {status}: {detail}";
        switch (status)
        {
            case 429:
                TimeSpan? wait = RetryAfter(response, now);
                string when = wait is { } w ? $"try again in {Math.Ceiling(w.TotalSeconds):0} s" : "try again later";
                return new TransientRegistryException(
                    new Error("Registry.RateLimited", $"registry {registry} limits the rate of requests for {subject} ({said}): {when} or log in", ErrorKind.Unavailable), wait, inner: null);
            case 408 or 500 or 502 or 503 or 504:
                return new TransientRegistryException(
                    new Error("Registry.Faulty", $"registry {registry} cannot serve {subject} now ({said}): try again later", ErrorKind.Unavailable), RetryAfter(response, now), inner: null);
            case 401:
                return new FailureException(Unauthenticated(registry, subject, loggedIn ? "its credentials" : null));
            case 403:
                return new FailureException(new Error(
                    "Registry.PermissionDenied", $"registry {registry} denies access to {subject} ({said}): ask its owner for the right or log in as somebody else", ErrorKind.PermissionDenied));
            case 404:
                return new FailureException(new Error(
                    "Registry.Unknown", $"registry {registry} has no {subject} ({said}): check the name, the tag and the registry", ErrorKind.NotFound));
            case 413:
                return new FailureException(new Error(
                    "Registry.TooLarge", $"registry {registry} finds {subject} too large ({said}): raise its limit", ErrorKind.ResourceExhausted));
            case 400 when code is "DIGEST_INVALID" or "SIZE_INVALID" or "MANIFEST_INVALID":
                return new FailureException(new Error("Registry.ContentRefused", $"registry {registry} refuses the content of {subject} ({said})", ErrorKind.DataCorrupt));
            default:
                return new FailureException(new Error(
                    "Registry.Refused", $"registry {registry} refuses the request for {subject} ({said})", status is >= 400 and < 500 ? ErrorKind.FailedPrecondition : ErrorKind.Unavailable));
        }
    }

    /// <summary>What a broken connection means. Null if it is none: a bug or a cancellation, which must go on unchanged.</summary>
    public static Exception? FromTransport(Exception exception, string registry, Uri address, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return null;
        }

        string where = $"{address.IdnHost}:{address.Port}";
        return exception switch
        {
            HttpRequestException { InnerException: FailureException failure } => failure,
            HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } e when e.InnerException is AuthenticationException tls => new FailureException(
                new Error("Registry.TlsFailed", $"no secure connection to registry {registry} at {where}: {FirstLine(tls.Message)} Trust its certificate, or allow it as insecure", ErrorKind.Unavailable), e),
            HttpRequestException { InnerException: SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData } } e => new FailureException(
                new Error("Registry.Unreachable", $"registry {registry} cannot be reached: no host is called '{address.IdnHost}'; check the name", ErrorKind.Unavailable), e),
            HttpRequestException or IOException or SocketException => new TransientRegistryException(
                new Error("Registry.Unreachable", $"registry {registry} cannot be reached at {where} ({Reason(exception)}): check that it runs and try again", ErrorKind.Unavailable), retryAfter: null, exception),
            OperationCanceledException => new TransientRegistryException(
                new Error("Registry.Timeout", $"registry {registry} at {where} does not answer in time: check that it runs and try again", ErrorKind.Unavailable), retryAfter: null, exception),
            _ => null,
        };
    }

    private static string Reason(Exception exception)
    {
        for (Exception? e = exception; e is not null; e = e.InnerException)
        {
            if (e is SocketException socket)
            {
                return FirstLine(socket.Message);
            }
        }

        return exception is HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded } or HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded }
            ? "the connection ended early"
            : FirstLine(exception.GetBaseException().Message);
    }

    private static string FirstLine(string text)
    {
        int end = text.AsSpan().IndexOfAny('\r', '\n');
        return (end < 0 ? text : text[..end]).Trim();
    }

    private static TimeSpan? RetryAfter(HttpResponseMessage response, DateTimeOffset now) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date > now ? date - now : TimeSpan.Zero,
        _ => null,
    };

    /// <summary>The first of <c>{"errors":[{"code":…,"message":…}]}</c> (distribution-spec, "Error Codes"); empty if the body is something else.</summary>
    private static async Task<(string Code, string Message)> ReadDetailAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(ErrorBodyTimeout);
        try
        {
            using Stream body = await response.Content.ReadAsStreamAsync(deadline.Token);
            byte[] raw = new byte[MaxErrorBody];
            int length = await body.ReadAtLeastAsync(raw, raw.Length, throwOnEndOfStream: false, deadline.Token);
            if (length == 0)
            {
                return ("", "");
            }

            using JsonDocument document = JsonDocument.Parse(raw.AsMemory(0, length));
            JsonElement error = document.RootElement.GetProperty("errors")[0];
            string code = error.TryGetProperty("code", out JsonElement c) ? c.GetString() ?? "" : "";
            string message = error.TryGetProperty("message", out JsonElement m) ? m.GetString() ?? "" : "";
            return (Printable(code), Printable(message.Length == 0 ? code : message));
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or IndexOutOfRangeException or HttpRequestException or IOException)
        {
            // The status says enough; a body that is no error document (a proxy's HTML page) or does not arrive adds nothing.
            return ("", "");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return ("", "");
        }
    }

    /// <summary>One short line without control characters: it goes to terminals and logs, and a registry is not trusted.</summary>
    private static string Printable(string text)
    {
        string clean = new([.. text.Take(200).Select(c => char.IsControl(c) ? ' ' : c)]);
        return clean.Trim();
    }
}
