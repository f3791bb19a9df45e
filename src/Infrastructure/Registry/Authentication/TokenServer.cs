using System.Net.Http.Headers;
using System.Text.Json;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry.Authentication;

/// <param name="Realm">The token server's address; it has passed <see cref="TokenServer.CheckRealm"/>.</param>
/// <param name="Service">The registry's name for itself.</param>
/// <param name="Scopes">Each e.g. <c>repository:a/b:pull</c>.</param>
internal sealed record TokenRequest(Uri Realm, string? Service, IReadOnlyList<string> Scopes);

/// <summary>Fetches bearer tokens (distribution docs/spec/auth/token.md, and oauth.md for refresh tokens).</summary>
internal sealed class TokenServer(HttpClient http, RegistryOptions options, TimeProvider time)
{
    /// <summary>Tokens have a few kilobytes. Arbitrary.</summary>
    private const int MaxResponse = 1024 * 1024;

    private const string ClientId = "starlight";

    /// <summary>What a token without <c>expires_in</c> lasts (token.md).</summary>
    private static readonly TimeSpan DefaultLifetime = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Decides whether a registry may send us to this address. The attack: a hostile or tampered registry names a server of its own as realm and collects the
    /// credentials that were meant for somebody else, or has them sent in the clear. So: HTTPS, or plain HTTP if the registry itself is spoken to in plain HTTP and
    /// the realm is the same host. Without credentials there is nothing to steal, and plain HTTP elsewhere is allowed to users of an insecure registry.
    /// </summary>
    public static Uri CheckRealm(string registry, Uri address, string realm, bool withCredentials, bool insecure)
    {
        if (!Uri.TryCreate(realm, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("https" or "http") || uri.UserInfo.Length > 0)
        {
            throw new FailureException(RegistryErrors.RealmRefused(registry, $"'{realm}'", "that is not an http or https address"));
        }

        string shown = uri.GetLeftPart(UriPartial.Path);
        if (uri.Scheme == Uri.UriSchemeHttps)
        {
            return uri;
        }

        if (address.Scheme == Uri.UriSchemeHttps)
        {
            throw new FailureException(RegistryErrors.RealmRefused(registry, shown, "it is plain HTTP while the registry is HTTPS"));
        }

        bool sameHost = string.Equals(uri.IdnHost, address.IdnHost, StringComparison.OrdinalIgnoreCase)
            || (RegistryEndpoint.IsLoopback(uri) && RegistryEndpoint.IsLoopback(address));
        return sameHost || (insecure && !withCredentials)
            ? uri
            : throw new FailureException(RegistryErrors.RealmRefused(registry, shown, "it is another host and plain HTTP"));
    }

    public async Task<(string Token, TimeSpan Lifetime)> FetchAsync(TokenRequest request, string registry, RegistryLogin? login, string subject, CancellationToken cancellationToken)
    {
        using HttpRequestMessage message = login?.IdentityToken is { } refreshToken ? Refresh(request, refreshToken) : Get(request, login);
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(options.ResponseTimeout);
        try
        {
            using HttpResponseMessage response = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
            int status = (int)response.StatusCode;
            if (status is >= 300 and < 400)
            {
                throw new FailureException(RegistryErrors.RealmRefused(registry, request.Realm.GetLeftPart(UriPartial.Path), "it redirects, and credentials are not sent on"));
            }

            if (status is 400 or 401 or 403)
            {
                throw new FailureException(RegistryErrors.Unauthenticated(registry, subject, login?.Origin));
            }

            if (!response.IsSuccessStatusCode)
            {
                RegistryRequest named = new(message.Method, "", "", $"a token for {subject}");
                throw await RegistryErrors.FromResponseAsync(response, registry, named, login is not null, time.GetUtcNow(), deadline.Token);
            }

            using Stream body = await response.Content.ReadAsStreamAsync(deadline.Token);
            byte[] raw = new byte[MaxResponse];
            int length = await body.ReadAtLeastAsync(raw, raw.Length, throwOnEndOfStream: false, deadline.Token);
            return Parse(raw.AsMemory(0, length), registry);
        }
        catch (Exception e) when (e is not (FailureException or TransientRegistryException))
        {
            if (RegistryErrors.FromTransport(e, registry, request.Realm, cancellationToken) is { } fault)
            {
                throw fault;
            }

            throw;
        }
    }

    // GET realm?service=…&scope=…&scope=…
    private static HttpRequestMessage Get(TokenRequest request, RegistryLogin? login)
    {
        List<string> query = [.. request.Scopes.Select(s => "scope=" + Uri.EscapeDataString(s))];
        if (request.Service is { } service)
        {
            query.Insert(0, "service=" + Uri.EscapeDataString(service));
        }

        UriBuilder address = new(request.Realm);
        address.Query = string.Join('&', new[] { address.Query.TrimStart('?') }.Concat(query).Where(q => q.Length > 0));
        HttpRequestMessage message = new(HttpMethod.Get, address.Uri);
        if (login is { HasPassword: true })
        {
            message.Headers.Authorization = new AuthenticationHeaderValue("Basic", login.BasicParameter);
        }

        return message;
    }

    // POST realm, grant_type=refresh_token&service=…&client_id=…&scope=…&refresh_token=…
    private static HttpRequestMessage Refresh(TokenRequest request, string refreshToken) => new(HttpMethod.Post, request.Realm)
    {
        Content = new FormUrlEncodedContent(
        [
            new("grant_type", "refresh_token"),
            new("service", request.Service ?? ""),
            new("client_id", ClientId),
            new("scope", string.Join(' ', request.Scopes)),
            new("refresh_token", refreshToken),
        ]),
    };

    private static (string Token, TimeSpan Lifetime) Parse(ReadOnlyMemory<byte> raw, string registry)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(raw);
            JsonElement root = document.RootElement;
            string? token = root.TryGetProperty("token", out JsonElement t) ? t.GetString() : null;
            token = string.IsNullOrEmpty(token) && root.TryGetProperty("access_token", out JsonElement a) ? a.GetString() : token;
            TimeSpan lifetime = root.TryGetProperty("expires_in", out JsonElement e) && e.TryGetInt32(out int seconds) && seconds > 0 ? TimeSpan.FromSeconds(seconds) : DefaultLifetime;

            // A header value with line breaks would let the token server write headers of its own; HttpClient refuses it later with a worse message.
            if (!string.IsNullOrEmpty(token) && token.All(c => c is > ' ' and < '\x7f'))
            {
                return (token, lifetime);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Falls through: the message must not quote the answer, which may hold a token.
        }

        throw new FailureException(new Error(
            "Registry.TokenMalformed", $"the token server of registry {registry} sent something else than a token: try again later", ErrorKind.Unavailable));
    }
}
