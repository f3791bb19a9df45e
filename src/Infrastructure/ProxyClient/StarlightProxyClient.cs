using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>
/// HTTP client of starlight-proxy. Connections are HTTP/1.1, kept open and reused: a connection that has carried data starts fast (docs/operations.md, "Long lines"),
/// and a body on a connection of its own has no second flow-control window to wait for. Safe for concurrent use.
/// </summary>
public sealed partial class StarlightProxyClient : IProxyClient, IDisposable
{
    /// <summary>Version of requests and answers; bundles carry their own.</summary>
    internal const string Protocol = "1";

    private const string ProtocolHeader = "Starlight-Protocol";
    private const string LayersHeader = "Starlight-Layers";
    private const string VersionHeader = "Starlight-Version";
    private const string NdJson = "application/x-ndjson";

    /// <summary>A proxy answers a delta request from memory; planning from a cold database takes a second at most.</summary>
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(60);

    /// <summary>A busy proxy is asked again when it says so, for as long as its answer would be waited for, and not longer than this where that has no end.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    /// <summary>"Retry-After: 0" and a date that has passed must not make a worker ask without end and without pause.</summary>
    private static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(1);

    private readonly ProxyConnections _connections;
    private readonly IFilesystemImages? _filesystems;
    private readonly Func<IBundleBases?> _bases;
    private readonly TimeProvider _time;

    /// <param name="filesystems">Reads filesystem images of bundles; not needed for pings and notifies.</param>
    /// <param name="bases">What patches can be applied to; bundles are asked for without patches if there is nothing.</param>
    /// <param name="time">Clock of the waits that a busy proxy asks for; null for the system's.</param>
    public StarlightProxyClient(IFilesystemImages? filesystems = null, Func<IBundleBases?>? bases = null, TimeProvider? time = null)
    {
        _filesystems = filesystems;
        _bases = bases ?? (static () => null);
        _time = time ?? TimeProvider.System;
        _connections = new ProxyConnections(_time);
    }

    /// <summary>How this worker is called in the proxy's logs (<see cref="WorkerName"/>); null to be nameless.</summary>
    public string? Worker { get; init; }

    public async Task<ProxyPing> PingAsync(ProxyProfile proxy, CancellationToken cancellationToken)
    {
        // The first request may have to connect; the second measures the way alone.
        string version = await PingOnceAsync(proxy, cancellationToken);
        long started = Stopwatch.GetTimestamp();
        await PingOnceAsync(proxy, cancellationToken);
        return new ProxyPing(version, Stopwatch.GetElapsedTime(started));
    }

    public async Task<NotifyReport> NotifyAsync(
        ProxyProfile proxy, ImageReference reference, IReadOnlyList<Platform> platforms, bool insecure, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        StringBuilder query = new("starlight/notify?ref=" + Uri.EscapeDataString(reference.ToString()));
        foreach (Platform platform in platforms)
        {
            query.Append("&platform=").Append(Uri.EscapeDataString(platform.ToString()));
        }

        if (insecure)
        {
            query.Append("&insecure=true");
        }

        HttpRequestMessage Make()
        {
            HttpRequestMessage request = Request(proxy, HttpMethod.Post, query.ToString());
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(NdJson));
            return request;
        }

        using HttpResponseMessage response = await SendAsync(proxy, Make, System.Threading.Timeout.InfiniteTimeSpan, cancellationToken);
        try
        {
            using StreamReader lines = new(await response.Content.ReadAsStreamAsync(cancellationToken));
            while (await lines.ReadLineAsync(cancellationToken) is { } line)
            {
                NotifyLineMessage message = JsonSerializer.Deserialize(line, ProxyMessagesJson.Default.NotifyLineMessage) ?? throw new JsonException("an empty line");
                if (message.Error is { } error)
                {
                    throw new FailureException(ProxyErrors.Of(error));
                }

                if (message.Result is { } result)
                {
                    return Report(result);
                }

                progress?.Report($"{message.Stage} {message.Subject}{(message.Total > 0 ? $": {100 * message.Bytes / message.Total} %" : "")}");
            }
        }
        catch (JsonException e)
        {
            throw ProxyErrors.NotAProxy(proxy, e.Message);
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            throw ProxyErrors.Unreachable(proxy, e);
        }

        throw new FailureException(new Error("Proxy.AnswerCut", $"the proxy {proxy} ended its answer before the result: see its log and try again", ErrorKind.Unavailable));
    }

    public async Task<IIncomingBundle> RequestDeltaAsync(ProxyProfile proxy, DeltaRequest request, CancellationToken cancellationToken) =>
        await IncomingBundle.OpenAsync(
            this, proxy, request, _bases(), _filesystems ?? throw new InvalidOperationException("this client was made without a reader of filesystem images"), cancellationToken);

    public void Dispose() => _connections.Dispose();

    private async Task<string> PingOnceAsync(ProxyProfile proxy, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await SendAsync(proxy, () => Request(proxy, HttpMethod.Get, "health-check"), AnswerTimeout, cancellationToken);
        return response.Headers.TryGetValues(VersionHeader, out IEnumerable<string>? versions) ? versions.First() : "unknown";
    }

    private HttpRequestMessage Request(ProxyProfile proxy, HttpMethod method, string relative)
    {
        HttpRequestMessage request = new(method, new Uri(proxy.Endpoint, relative)) { Version = HttpVersion.Version11 };
        request.Headers.Add(ProtocolHeader, Protocol);
        if (Worker is not null)
        {
            request.Headers.Add(WorkerName.Header, Worker);
        }

        if (proxy.User is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{proxy.User}:{proxy.Password}")));
        }

        else if (proxy.Token is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", proxy.Token);
        }

        return request;
    }

    /// <summary>Sends, and sends again when a proxy that has too much to do (429, 503) says when; RFC 9110 section 10.2.3. The timeout is that of all attempts and pauses together.</summary>
    private async Task<HttpResponseMessage> SendAsync(ProxyProfile proxy, Func<HttpRequestMessage> make, TimeSpan timeout, CancellationToken cancellationToken, ProxyLane? lane = null)
    {
        long started = _time.GetTimestamp();
        bool isEndless = timeout < TimeSpan.Zero;
        TimeSpan patience = isEndless || timeout > LongestWait ? LongestWait : timeout;
        while (true)
        {
            HttpResponseMessage response;
            using (HttpRequestMessage request = make())
            {
                response = await SendOnceAsync(proxy, request, isEndless ? timeout : Left(), lane, cancellationToken);
            }

            // Many workers were told the same: they must not all come back in one moment.
            TimeSpan? pause = RetryAfter(response) * (1 + (Random.Shared.NextDouble() / 5));
            if (pause is null || pause >= Left())
            {
                return await CheckAsync(proxy, response, cancellationToken);
            }

            response.Dispose();
            await Task.Delay(pause.Value, _time, cancellationToken);
        }

        TimeSpan Left() => TimeSpan.FromTicks(Math.Max(0, (patience - _time.GetElapsedTime(started)).Ticks));
    }

    /// <summary>At least <see cref="ShortestPause"/>, whatever the proxy or something between says.</summary>
    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        RetryConditionHeaderValue? asked = response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable ? response.Headers.RetryAfter : null;
        TimeSpan? pause = asked?.Delta ?? (asked?.Date - _time.GetUtcNow());
        return pause < ShortestPause ? ShortestPause : pause;
    }

    /// <param name="proxy">Whom to ask.</param>
    /// <param name="request">Used once.</param>
    /// <param name="timeout">Until the answer begins.</param>
    /// <param name="own">The caller's connection; null to use the best there is, which the answer gives back.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    private async Task<HttpResponseMessage> SendOnceAsync(ProxyProfile proxy, HttpRequestMessage request, TimeSpan timeout, ProxyLane? own, CancellationToken cancellationToken)
    {
        using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(timeout);
        ProxyConnections.Pool pool = _connections.For(proxy);
        ProxyLine line = pool.LineTo(proxy.Endpoint);
        ProxyLane lane = own ?? await line.TakeAsync(cancellationToken);
        bool answered = false;
        try
        {
            HttpResponseMessage response = await lane.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience.Token);
            answered = true;
            return own is null ? new LaneResponse(response, line, lane) : response;
        }
        catch (HttpRequestException e)
        {
            throw e.HttpRequestError == HttpRequestError.SecureConnectionError && pool.RefusalOf(proxy.Endpoint.IdnHost) is { } refusal
                ? ProxyErrors.CertificateRefused(proxy, refusal, e)
                : ProxyErrors.Unreachable(proxy, e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw ProxyErrors.Unreachable(proxy, e);
        }
        catch (SocketException e)
        {
            // A connection that is reset just as it is made comes out of HttpClient (10.0) bare: it looks up the peer's address and finds none.
            throw ProxyErrors.Unreachable(proxy, e);
        }
        finally
        {
            if (!answered && own is null)
            {
                line.Return(lane);
            }
        }
    }

    /// <summary>Turns every kind of "no" into a failure.</summary>
    private static async Task<HttpResponseMessage> CheckAsync(ProxyProfile proxy, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            if (!response.Headers.TryGetValues(ProtocolHeader, out IEnumerable<string>? spoken))
            {
                throw response.StatusCode == HttpStatusCode.OK
                    ? ProxyErrors.NotAProxy(proxy, "it does not name its protocol")
                    : await ProxyErrors.FromAsync(proxy, response, cancellationToken);
            }

            if (spoken.First() != Protocol)
            {
                throw ProxyErrors.OtherProtocol(proxy, spoken.First());
            }

            if (response.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.PartialContent))
            {
                throw await ProxyErrors.FromAsync(proxy, response, cancellationToken);
            }

            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private static NotifyReport Report(NotifyMessage message) => new(
        message.Reference,
        message.Digest,
        [.. message.Images.Select(i => new NotifiedPlatform(i.Platform, i.Digest, i.FilesystemDigest, i.NewLayers + i.KnownLayers, i.NewLayers, i.Files, i.Contents, i.ContentBytes))],
        TimeSpan.FromMilliseconds(message.ElapsedMilliseconds));
}
