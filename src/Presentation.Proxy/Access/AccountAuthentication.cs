using System.Net;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>
/// ASP.NET's authentication scheme for accounts: HTTP Basic (RFC 7617) and bearer tokens (RFC 6750). Answers are problem documents. Without an accounts file everybody is
/// <see cref="Account.Open"/>.
/// </summary>
internal sealed class AccountAuthentication(AccountRegister register) : IAuthenticationHandler
{
    public const string Scheme = "Starlight";

    /// <summary>Longest name and password that are looked at; a hash of megabytes would be work for nothing. Arbitrary.</summary>
    private const int MaxCredentials = 4096;

    private static readonly AuthenticateResult Open = Success(Account.Open);

    private HttpContext _context = null!;
    private Task<AuthenticateResult>? _result;
    private TimeSpan? _retryAfter;
    private bool _refused;

    public Task InitializeAsync(AuthenticationScheme scheme, HttpContext context)
    {
        _context = context;
        return Task.CompletedTask;
    }

    /// <summary>One login per request, however often it is asked for.</summary>
    public Task<AuthenticateResult> AuthenticateAsync() => _result ??= LogInAsync();

    public Task ChallengeAsync(AuthenticationProperties? properties)
    {
        if (_retryAfter is { } wait)
        {
            return TooManyRequests.WriteAsync(_context, "Access.TooManyFailures", "too many wrong passwords came from this address", wait);
        }

        _context.Response.Headers.Append(HeaderNames.WWWAuthenticate, "Basic realm=\"starlight-proxy\", charset=\"UTF-8\"");
        _context.Response.Headers.Append(HeaderNames.WWWAuthenticate, "Bearer realm=\"starlight-proxy\"");
        return new ProblemResult(_refused ? AccessErrors.CredentialsWrong : AccessErrors.CredentialsMissing).ExecuteAsync(_context);
    }

    public Task ForbidAsync(AuthenticationProperties? properties)
    {
        string role = _context.GetEndpoint()?.Metadata.GetMetadata<RequiredRole>()?.Role ?? Roles.Admin;
        return new ProblemResult(AccessErrors.RoleMissing(_context.Features.Get<Account>()!, role)).ExecuteAsync(_context);
    }

    /// <summary>The account of a request that has passed authentication.</summary>
    public static Account Of(HttpContext context) => context.Features.Get<Account>() ?? throw new InvalidOperationException("the endpoint needs RequireRole");

    /// <summary>Where the request comes from, for limits.</summary>
    public static string AddressOf(HttpContext context) => context.Connection.RemoteIpAddress switch
    {
        null => "local",
        { IsIPv4MappedToIPv6: true } mapped => mapped.MapToIPv4().ToString(),

        // A host of the Internet has a /64 to choose addresses from.
        { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 } address when !IPAddress.IsLoopback(address) => new IPAddress([.. address.GetAddressBytes().AsSpan(0, 8), .. new byte[8]]) + "/64",
        { } address => address.ToString(),
    };

    private async Task<AuthenticateResult> LogInAsync()
    {
        if (register.IsOpen)
        {
            _context.Features.Set(Account.Open);
            return Open;
        }

        if (_context.GetEndpoint()?.Metadata.GetMetadata<OwnCredentials>() is not null || _context.Request.Headers.Authorization is not [{ Length: > 0 and < MaxCredentials * 2 } header])
        {
            return AuthenticateResult.NoResult();
        }

        LoginOutcome outcome = await CheckAsync(header);
        if (outcome.Account is { } account)
        {
            _context.Features.Set(account);
            return Success(account);
        }

        (_retryAfter, _refused) = (outcome.RetryAfter, true);
        return AuthenticateResult.Fail("unknown credentials");
    }

    private static AuthenticateResult Success(Account account) => AuthenticateResult.Success(new AuthenticationTicket(account.Principal, Scheme));

    private async ValueTask<LoginOutcome> CheckAsync(string header)
    {
        int space = header.IndexOf(' ', StringComparison.Ordinal);
        string scheme = space < 0 ? header : header[..space];
        string credentials = space < 0 ? "" : header[(space + 1)..].Trim();
        if (scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase))
        {
            return new LoginOutcome(register.FindByToken(credentials));
        }

        byte[] decoded = new byte[credentials.Length];
        if (!scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase) || !Convert.TryFromBase64String(credentials, decoded, out int length) || length > MaxCredentials)
        {
            return default;
        }

        string pair = Encoding.UTF8.GetString(decoded, 0, length);
        int colon = pair.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? default : await register.CheckPasswordAsync(pair[..colon], pair[(colon + 1)..], AddressOf(_context), _context.RequestAborted);
    }
}

/// <summary>Marks an endpoint whose Authorization header is not for accounts.</summary>
internal sealed class OwnCredentials
{
    public static readonly OwnCredentials Instance = new();
}
