using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>Endpoint metadata: which role a request needs.</summary>
internal sealed record RequiredRole(string Role);

/// <summary>The door to accounts, roles and limits. An endpoint that names no role needs <see cref="Roles.Admin"/>: forgetting one shuts a door instead of opening it.</summary>
internal static class AccessRegistration
{
    public static IServiceCollection AddAccess(this IServiceCollection services, ProxySettings settings)
    {
        services.AddSingleton(provider => new AccountRegister(
            settings.AccountsPath, settings.Registries.DefaultRegistry, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<AccountRegister>>()));

        // AddAuthentication would bring data protection along, which writes keys into the home directory at start.
        services.AddAuthenticationCore(options =>
        {
            options.AddScheme<AccountAuthentication>(AccountAuthentication.Scheme, displayName: null);
            options.DefaultScheme = AccountAuthentication.Scheme;
        });
        services.AddTransient<AccountAuthentication>();
        AuthorizationBuilder authorization = services.AddAuthorizationBuilder();
        foreach (string role in Roles.All)
        {
            authorization.AddPolicy(role, policy => policy.RequireRole(role));
        }

        authorization.SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireRole(Roles.Admin).Build());
        services.AddRateLimiter(options =>
        {
            options.GlobalLimiter = settings.Limits.CreateLimiter();
            options.OnRejected = (rejected, _) => new ValueTask(TooManyRequests.WriteAsync(
                rejected.HttpContext,
                "Access.TooManyRequests",
                "this client asks too much at once",
                rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out TimeSpan wait) ? wait : TimeSpan.FromSeconds(1)));
        });
        return services;
    }

    /// <summary>After routing: who asks, how much, and whether they may.</summary>
    public static void UseAccess(this WebApplication app)
    {
        // Read now: a bad accounts file stops the start, not the first request.
        _ = app.Services.GetRequiredService<AccountRegister>();
        app.UseAuthentication();
        app.UseRateLimiter();
        app.UseAuthorization();
    }

    /// <summary>Only accounts with the role may use the endpoint; everybody on a proxy without accounts.</summary>
    public static TBuilder RequireRole<TBuilder>(this TBuilder endpoint, string role)
        where TBuilder : IEndpointConventionBuilder => endpoint.RequireAuthorization(role).WithMetadata(new RequiredRole(role));

    /// <summary>The endpoint checks credentials of its own, which are no account's: they are no failed login.</summary>
    public static TBuilder ChecksItself<TBuilder>(this TBuilder endpoint)
        where TBuilder : IEndpointConventionBuilder => endpoint.AllowAnonymous().WithMetadata(OwnCredentials.Instance);

    /// <summary>Everybody may use the endpoint, as often as they like.</summary>
    public static TBuilder AllowEverybody<TBuilder>(this TBuilder endpoint)
        where TBuilder : IEndpointConventionBuilder => endpoint.AllowAnonymous().WithMetadata(Unlimited.Instance);
}
