using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>What a proxy's refusals and silences become: one line that names the proxy and says what to do.</summary>
internal static class ProxyErrors
{
    /// <summary>A problem document is a few hundred bytes; more is something else's page.</summary>
    private const int MaxProblemLength = 64 << 10;

    public static FailureException Unreachable(ProxyProfile proxy, Exception cause)
    {
        string why = cause switch
        {
            HttpRequestException { InnerException: SocketException socket } => socket.SocketErrorCode switch
            {
                SocketError.ConnectionRefused => "connection refused",
                SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain => "its name cannot be resolved",
                _ => socket.Message,
            },
            HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => "the TLS handshake failed: " + (cause.InnerException?.Message ?? cause.Message),
            TimeoutException or OperationCanceledException => "it did not answer in time",
            _ => cause.Message,
        };
        return new FailureException(
            new Error("Proxy.Unreachable", $"the proxy {proxy} cannot be reached ({why}): check that starlight-proxy runs there and that the address is right", ErrorKind.Unavailable), cause);
    }

    /// <summary>Three codes, because three different people can mend it: who renews certificates, who names hosts, who hands out authorities.</summary>
    public static FailureException CertificateRefused(ProxyProfile proxy, CertificateRefusal refusal, Exception cause) => new(
        refusal.Reason switch
        {
            CertificateFault.Expired => new Error(
                "Proxy.CertificateExpired", $"the proxy {proxy} cannot be trusted: its certificate {refusal.Detail}; have it renewed, or set this machine's clock", ErrorKind.Unavailable),
            CertificateFault.OtherName => new Error(
                "Proxy.CertificateName", $"the proxy {proxy} cannot be trusted: its certificate is {refusal.Detail}; use a name that it is for", ErrorKind.Unavailable),
            _ => new Error(
                "Proxy.CertificateUntrusted",
                $"the proxy {proxy} cannot be trusted: its certificate {refusal.Detail}; name the authority's certificate with 'ctr-starlight add-proxy --ca FILE' or 'starlight-daemon --proxy-ca FILE'",
                ErrorKind.Unavailable),
        },
        cause);

    public static FailureException AuthorityUnusable(ProxyProfile proxy, string why, Exception? cause) => new(
        new Error("Proxy.AuthorityUnusable", $"the certificate authorities of proxy {proxy.Name} in {proxy.AuthorityFile} cannot be used: {why}; name a PEM file of certificates", ErrorKind.FailedPrecondition), cause);

    public static FailureException NotAProxy(ProxyProfile proxy, string why) =>
        new(new Error("Proxy.NotAProxy", $"what answers at {proxy} is not a Starlight proxy ({why}): check the address", ErrorKind.Unavailable));

    public static FailureException OtherProtocol(ProxyProfile proxy, string version) =>
        new(new Error("Proxy.OtherProtocol", $"the proxy {proxy} speaks protocol {version}, this worker {StarlightProxyClient.Protocol}: update the older of the two", ErrorKind.Unsupported));

    public static FailureException NoLayers(ProxyProfile proxy) =>
        new(new Error("Proxy.NoLayers", $"the proxy {proxy} delivers whole images only, but part of one is needed: update the proxy", ErrorKind.Unsupported));

    public static FailureException Stalled(ProxyProfile proxy, TimeSpan silence) =>
        new(new Error("Proxy.Stalled", $"the proxy {proxy} sent nothing for {silence.TotalSeconds:0} s", ErrorKind.Unavailable));

    public static Error Of(ProblemMessage problem) =>
        new(problem.Code ?? "Proxy.Refused", problem.Detail ?? $"the proxy refused with status {problem.Status}", KindOf((HttpStatusCode)problem.Status)) { Subjects = problem.Subjects ?? [] };

    /// <summary>The failure that a response with an error status stands for.</summary>
    public static async Task<FailureException> FromAsync(ProxyProfile proxy, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.Content.Headers.ContentType?.MediaType == "application/problem+json")
        {
            try
            {
                await response.Content.LoadIntoBufferAsync(MaxProblemLength, cancellationToken);
                ProblemMessage? problem = JsonSerializer.Deserialize(await response.Content.ReadAsByteArrayAsync(cancellationToken), ProxyMessagesJson.Default.ProblemMessage);
                if (problem is not null)
                {
                    return new FailureException(Of(problem));
                }
            }
            catch (Exception e) when (e is JsonException or HttpRequestException)
            {
                return NotAProxy(proxy, $"status {(int)response.StatusCode} with an unreadable explanation");
            }
        }

        return response.StatusCode switch
        {
            HttpStatusCode.Unauthorized => new FailureException(new Error(
                "Proxy.Unauthenticated", $"the proxy {proxy} refused the user name, password or token: correct them with ctr-starlight add-proxy", ErrorKind.Unauthenticated)),
            HttpStatusCode.Forbidden => new FailureException(new Error("Proxy.Forbidden", $"the proxy {proxy} does not allow this user to do this", ErrorKind.PermissionDenied)),
            >= HttpStatusCode.InternalServerError => new FailureException(new Error(
                "Proxy.Failed", $"the proxy {proxy} answered with status {(int)response.StatusCode}: see its log", ErrorKind.Unavailable)),
            _ => NotAProxy(proxy, $"status {(int)response.StatusCode}"),
        };
    }

    /// <summary>Inverse of the proxy's own table (Presentation.Proxy/Problems/ProblemTable.cs); 409 covers two kinds of which workers only ever cause one.</summary>
    private static ErrorKind KindOf(HttpStatusCode status) => status switch
    {
        HttpStatusCode.BadRequest => ErrorKind.InvalidInput,
        HttpStatusCode.Unauthorized => ErrorKind.Unauthenticated,
        HttpStatusCode.Forbidden => ErrorKind.PermissionDenied,
        HttpStatusCode.NotFound => ErrorKind.NotFound,
        HttpStatusCode.Conflict => ErrorKind.FailedPrecondition,
        HttpStatusCode.NotImplemented => ErrorKind.Unsupported,
        HttpStatusCode.BadGateway => ErrorKind.DataCorrupt,
        HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests => ErrorKind.Unavailable,
        HttpStatusCode.InsufficientStorage => ErrorKind.ResourceExhausted,
        _ => ErrorKind.Internal,
    };
}
