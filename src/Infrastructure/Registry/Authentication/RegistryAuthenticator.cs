using System.Collections.Concurrent;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry.Authentication;

/// <summary>
/// Logs in to one registry. Before the first challenge requests go out bare; afterwards the scheme is known and every request carries its header. Tokens are kept
/// per scope until shortly before they expire. Safe for concurrent use.
/// </summary>
internal sealed class RegistryAuthenticator(string registry, bool insecure, DockerCredentials credentials, TokenServer tokens, TimeProvider time, ILogger logger) : IDisposable
{
    /// <summary>A token is renewed when this share of its life is over, so that it does not expire on its way.</summary>
    private const double UsableShare = 0.9;

    /// <summary>One login at a time: many layers start at once and would all ask for the same token.</summary>
    private readonly SemaphoreSlim _gate = new(1);

    private readonly ConcurrentDictionary<string, CachedHeader> _headers = new(StringComparer.Ordinal);

    /// <summary>What the registry last asked for; null until it asked.</summary>
    private volatile Challenge? _challenge;

    private volatile RegistryLogin? _login;

    /// <summary>Where the login in use was found; null if requests are anonymous.</summary>
    public string? LoginOrigin => _login?.Origin;

    /// <summary>The header to send at once, null if none is known to be needed.</summary>
    /// <param name="address">The registry's own address, against which a token server's is judged.</param>
    /// <param name="scope">See <see cref="RegistryRequest"/>.</param>
    /// <param name="subject">How errors name what is asked for.</param>
    /// <param name="cancellationToken">Ends the wait for a token.</param>
    public async ValueTask<AuthenticationHeaderValue?> GetAsync(Uri address, string scope, string subject, CancellationToken cancellationToken)
    {
        if (_challenge is not { } challenge)
        {
            return null;
        }

        return Cached(KeyOf(challenge, scope)) ?? await LogInAsync(challenge, address, scope, subject, refused: null, cancellationToken);
    }

    /// <summary>Answers a 401. Throws Unauthenticated if there is nothing (else) to try.</summary>
    /// <param name="refused">The header that was just refused, null if none was sent.</param>
    public Task<AuthenticationHeaderValue> AnswerAsync(
        HttpResponseMessage response, Uri address, string scope, string subject, AuthenticationHeaderValue? refused, CancellationToken cancellationToken)
    {
        IEnumerable<string> headers = response.Headers.NonValidated.TryGetValues("WWW-Authenticate", out HeaderStringValues values) ? values : [];
        Challenge challenge = Challenge.Choose(headers)
            ?? throw new FailureException(new Error(
                "Registry.ChallengeUnknown", $"registry {registry} asks for a login for {subject} in a way that is not supported: only Basic and Bearer are", ErrorKind.Unauthenticated));
        _challenge = challenge;
        return LogInAsync(challenge, address, scope, subject, refused, cancellationToken);
    }

    public void Dispose() => _gate.Dispose();

    private async Task<AuthenticationHeaderValue> LogInAsync(
        Challenge challenge, Uri address, string scope, string subject, AuthenticationHeaderValue? refused, CancellationToken cancellationToken)
    {
        string key = KeyOf(challenge, scope);
        await _gate.WaitAsync(cancellationToken);
        try
        {
            // Somebody else may have logged in while this request waited.
            if (Cached(key) is { } current && !current.Equals(refused))
            {
                return current;
            }

            _headers.TryRemove(key, out _);
            RegistryLogin? login = await credentials.FindAsync(registry, cancellationToken);
            _login = login;
            CachedHeader header = challenge.IsBasic
                ? Basic(login, subject)
                : await BearerAsync(challenge, login, address, scope, subject, cancellationToken);
            if (header.Value.Equals(refused))
            {
                throw new FailureException(RegistryErrors.Unauthenticated(registry, subject, LoginOrigin));
            }

            _headers[key] = header;
            return header.Value;
        }
        finally
        {
            _gate.Release();
        }
    }

    private CachedHeader Basic(RegistryLogin? login, string subject) => login is { HasPassword: true }
        ? new CachedHeader(new AuthenticationHeaderValue("Basic", login.BasicParameter), DateTimeOffset.MaxValue)
        : throw new FailureException(RegistryErrors.Unauthenticated(registry, subject, loginOrigin: null));

    private async Task<CachedHeader> BearerAsync(Challenge challenge, RegistryLogin? login, Uri address, string scope, string subject, CancellationToken cancellationToken)
    {
        if (login?.RegistryToken is { } registryToken)
        {
            return new CachedHeader(new AuthenticationHeaderValue("Bearer", registryToken), DateTimeOffset.MaxValue);
        }

        // Judged before the credentials are used: a registry could name anybody's address (design page, "Traps").
        string realmText = challenge["realm"]!;
        Uri realm = TokenServer.CheckRealm(registry, address, realmText, withCredentials: login is not null, insecure);
        (string token, TimeSpan lifetime) = await tokens.FetchAsync(
            new TokenRequest(realm, challenge["service"], Union(scope, challenge["scope"])), registry, login, subject, cancellationToken);
        logger.TokenObtained(registry, scope, realm.GetLeftPart(UriPartial.Path), lifetime.TotalSeconds);
        return new CachedHeader(new AuthenticationHeaderValue("Bearer", token), time.GetUtcNow() + (lifetime * UsableShare));
    }

    private AuthenticationHeaderValue? Cached(string key) =>
        _headers.TryGetValue(key, out CachedHeader? header) && header.RenewAt > time.GetUtcNow() ? header.Value : null;

    /// <summary>Basic credentials are good for everything, tokens for their scope.</summary>
    private static string KeyOf(Challenge challenge, string scope) => challenge.IsBasic ? "" : "bearer " + scope;

    /// <summary>What this request needs and what the registry said it needs: they differ where a registry has scopes of its own.</summary>
    private static IReadOnlyList<string> Union(string scope, string? challenged) =>
        [.. scope.Split(' ', StringSplitOptions.RemoveEmptyEntries).Union((challenged ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries), StringComparer.Ordinal)];

    private sealed record CachedHeader(AuthenticationHeaderValue Value, DateTimeOffset RenewAt);
}
