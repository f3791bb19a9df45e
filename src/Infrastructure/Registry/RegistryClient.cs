using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry.Authentication;

namespace Starlight.Infrastructure.Registry;

/// <summary>
/// Sends requests to one registry (distribution-spec 1.1; distribution docs/spec/api.md). One per registry and process, so that log-ins and the address found are
/// shared. <see cref="SendAsync"/> sends once; <see cref="Retry"/> is for whoever knows what may be repeated. Safe for concurrent use.
/// </summary>
internal sealed class RegistryClient : IDisposable
{
    /// <summary>As many as Go's HTTP client follows, which registries are tested with.</summary>
    private const int MaxRedirects = 10;

    /// <summary>The slowest upload that is waited for, bytes per second. Arbitrary: the rate of an ISDN line's two channels.</summary>
    private const int SlowestUpload = 16 * 1024;

    private readonly RegistryEndpoint _endpoint;
    private readonly HttpClient _http;
    private readonly RegistryAuthenticator _authenticator;
    private readonly RegistryOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    /// <summary>Held while the address is found out.</summary>
    private readonly SemaphoreSlim _addressGate = new(1);

    private volatile Uri? _address;

    public RegistryClient(RegistryEndpoint endpoint, HttpClient http, DockerCredentials credentials, RegistryOptions options, TimeProvider time, ILogger logger)
    {
        _endpoint = endpoint;
        _http = http;
        _options = options;
        _time = time;
        _logger = logger;
        _authenticator = new RegistryAuthenticator(endpoint.Registry, endpoint.Insecure, credentials, new TokenServer(http, options, time), time, logger);
        Retry = new RegistryRetry(endpoint.Registry, options, time, logger);
        _address = endpoint.Candidates.Count == 1 ? endpoint.Candidates[0] : null;
    }

    /// <summary>As users write it.</summary>
    public string Registry => _endpoint.Registry;

    public RegistryRetry Retry { get; }

    public RegistryOptions Options => _options;

    public ILogger Logger => _logger;

    /// <summary>Set when the registry has refused a chunk: later blobs go in one request each without asking again.</summary>
    public bool ChunksUnsupported { get; set; }

    /// <summary>
    /// Sends a request and gives back the answer's headers with the body still to be read.
    /// <list type="number">
    /// <item>find the registry's address (HTTPS or HTTP);</item>
    /// <item>add the login that is known to be needed;</item>
    /// <item>send, follow redirects: the login goes to the registry's own origin and nowhere else;</item>
    /// <item>after a 401 from the registry itself, log in and send once more.</item>
    /// </list>
    /// The answer may be any status. Throws <see cref="TransientRegistryException"/> for a broken connection and <see cref="FailureException"/> for what repeating cannot mend.
    /// </summary>
    public async Task<HttpResponseMessage> SendAsync(RegistryRequest request, CancellationToken cancellationToken)
    {
        // Step 1.
        Uri address = _address ?? await FindAddressAsync(cancellationToken);

        // Step 2.
        AuthenticationHeaderValue? login = await _authenticator.GetAsync(address, request.Scope, request.Subject, cancellationToken);

        // Step 3.
        HttpResponseMessage response = await FollowAsync(request, address, login, cancellationToken);
        if (response.StatusCode != HttpStatusCode.Unauthorized || !RegistryEndpoint.IsSameOrigin(response.RequestMessage!.RequestUri!, address))
        {
            return response;
        }

        // Step 4.
        using (response)
        {
            login = await _authenticator.AnswerAsync(response, address, request.Scope, request.Subject, login, cancellationToken);
        }

        return await FollowAsync(request, address, login, cancellationToken);
    }

    /// <summary>What an unsuccessful answer means; the caller throws it.</summary>
    public async Task<Exception> FailureAsync(HttpResponseMessage response, RegistryRequest request, CancellationToken cancellationToken)
    {
        if (response.StatusCode == HttpStatusCode.Unauthorized)
        {
            return new FailureException(RegistryErrors.Unauthenticated(Registry, request.Subject, _authenticator.LoginOrigin));
        }

        return await RegistryErrors.FromResponseAsync(response, Registry, request, _authenticator.LoginOrigin is not null, _time.GetUtcNow(), cancellationToken);
    }

    /// <summary>Turns a broken connection into what it means for the caller; null if the exception is none.</summary>
    public Exception? TransportFault(Exception exception, HttpResponseMessage? response, CancellationToken cancellationToken) =>
        RegistryErrors.FromTransport(exception, Registry, response?.RequestMessage?.RequestUri ?? _address ?? _endpoint.Candidates[0], cancellationToken);

    /// <summary>Reads a body of at most <paramref name="limit"/> bytes; null if it is longer.</summary>
    public async Task<byte[]?> ReadBodyAsync(HttpResponseMessage response, int limit, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(_options.ResponseTimeout);
        try
        {
            if (response.Content.Headers.ContentLength > limit)
            {
                return null;
            }

            using Stream body = await response.Content.ReadAsStreamAsync(deadline.Token);
            using MemoryStream raw = new();
            byte[] buffer = new byte[16 * 1024];
            int read;
            while ((read = await body.ReadAsync(buffer, deadline.Token)) > 0)
            {
                if (raw.Length + read > limit)
                {
                    return null;
                }

                raw.Write(buffer, 0, read);
            }

            return raw.ToArray();
        }
        catch (Exception e)
        {
            if (TransportFault(e, response, cancellationToken) is { } fault)
            {
                throw fault;
            }

            throw;
        }
    }

    /// <summary>The address of an upload step: absolute or relative to the answer's own.</summary>
    public Uri ResolveLocation(HttpResponseMessage response)
    {
        Uri from = response.RequestMessage!.RequestUri!;
        if (response.Headers.Location is not { } location)
        {
            throw new FailureException(RegistryErrors.Malformed(Registry, "accepted an upload without saying where to send it"));
        }

        Uri target = location.IsAbsoluteUri ? location : new Uri(from, location);

        // A registry behind a TLS terminating proxy may believe that it is plain HTTP; sending blobs and credentials in the clear for that would be wrong.
        if (from.Scheme == Uri.UriSchemeHttps && target.Scheme == Uri.UriSchemeHttp && string.Equals(from.IdnHost, target.IdnHost, StringComparison.OrdinalIgnoreCase))
        {
            target = new UriBuilder(target) { Scheme = Uri.UriSchemeHttps, Port = target.IsDefaultPort ? from.Port : target.Port }.Uri;
        }

        CheckTarget(from, target);
        return target;
    }

    public void Dispose()
    {
        _authenticator.Dispose();
        _addressGate.Dispose();
    }

    private async Task<HttpResponseMessage> FollowAsync(RegistryRequest request, Uri address, AuthenticationHeaderValue? login, CancellationToken cancellationToken)
    {
        Uri target = request.Location ?? new Uri(address, request.Path);
        for (int redirects = 0; ; redirects++)
        {
            HttpResponseMessage response = await SendOnceAsync(request, target, RegistryEndpoint.IsSameOrigin(target, address) ? login : null, cancellationToken);
            if (!IsRedirect(response.StatusCode, request.Method) || response.Headers.Location is not { } location)
            {
                return response;
            }

            using (response)
            {
                Uri next = location.IsAbsoluteUri ? location : new Uri(target, location);
                if (redirects == MaxRedirects)
                {
                    throw new FailureException(RegistryErrors.RedirectRefused(Registry, next, $"there were {MaxRedirects} redirects before it"));
                }

                CheckTarget(target, next);
                target = next;
            }
        }
    }

    /// <summary>301, 302 and 303 would turn another method into GET; 307 and 308 keep it (RFC 9110, section 15.4).</summary>
    private static bool IsRedirect(HttpStatusCode status, HttpMethod method) =>
        status is HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect
        || (status is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther && (method == HttpMethod.Get || method == HttpMethod.Head));

    private void CheckTarget(Uri from, Uri target)
    {
        if (target.Scheme is not ("http" or "https"))
        {
            throw new FailureException(RegistryErrors.RedirectRefused(Registry, target, "that is not an http or https address"));
        }

        if (from.Scheme == Uri.UriSchemeHttps && target.Scheme == Uri.UriSchemeHttp && !_endpoint.Insecure)
        {
            throw new FailureException(RegistryErrors.RedirectRefused(Registry, target, "it leads from HTTPS to plain HTTP"));
        }
    }

    private async Task<HttpResponseMessage> SendOnceAsync(RegistryRequest request, Uri target, AuthenticationHeaderValue? login, CancellationToken cancellationToken)
    {
        using HttpRequestMessage message = new(request.Method, target) { Content = request.Content is { } make ? await make(cancellationToken) : null };
        message.Headers.Authorization = login;
        message.Headers.Range = request.Range;
        foreach (string accept in request.Accept)
        {
            message.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(accept));
        }

        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(_options.ResponseTimeout + TimeSpan.FromSeconds((double)(message.Content?.Headers.ContentLength ?? 0) / SlowestUpload));
        long started = Stopwatch.GetTimestamp();
        try
        {
            HttpResponseMessage response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
            _logger.Answered(Registry, request.Method.Method, target.AbsolutePath, (int)response.StatusCode, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            return response;
        }
        catch (Exception e)
        {
            if (RegistryErrors.FromTransport(e, Registry, target, cancellationToken) is { } fault)
            {
                throw fault;
            }

            throw;
        }
    }

    /// <summary>
    /// For registries called insecure: HTTPS without checking certificates, or plain HTTP if HTTPS does not come about. What answered first is kept for the life of
    /// this process, so that a later hiccup cannot turn encryption off.
    /// </summary>
    private async Task<Uri> FindAddressAsync(CancellationToken cancellationToken)
    {
        await _addressGate.WaitAsync(cancellationToken);
        try
        {
            if (_address is { } found)
            {
                return found;
            }

            RegistryRequest ping = new(HttpMethod.Get, "v2/", "", "its API");
            Exception? last = null;
            foreach (Uri candidate in _endpoint.Candidates)
            {
                try
                {
                    using HttpResponseMessage response = await SendOnceAsync(ping, new Uri(candidate, ping.Path), login: null, cancellationToken);
                    _logger.InsecureEndpoint(Registry, candidate);
                    _address = candidate;
                    return candidate;
                }
                catch (Exception e) when (e is TransientRegistryException or FailureException)
                {
                    last = e;
                }
            }

            throw last!;
        }
        finally
        {
            _addressGate.Release();
        }
    }
}
