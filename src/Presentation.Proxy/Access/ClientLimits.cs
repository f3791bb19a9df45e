using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Http;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>How much one client, which is an account or without accounts an address, may ask at once and per second. 0 is no limit.</summary>
/// <param name="RequestsPerSecond">In the long run.</param>
/// <param name="Burst">Saved up while a client is silent.</param>
/// <param name="Concurrent">Requests under way, streams included.</param>
internal sealed record ClientLimits(int RequestsPerSecond, int Burst, int Concurrent)
{
    /// <summary>
    /// Far above what a fleet behind one address or one account asks, so that they stop only what has gone wild: 200 workers that start and pull at once open 13 connections each
    /// and ask for up to 23 parts of a bundle, 12 at a time.
    /// </summary>
    public static readonly ClientLimits Default = new(RequestsPerSecond: 500, Burst: 10_000, Concurrent: 4000);

    /// <summary>Null if nothing is limited.</summary>
    public PartitionedRateLimiter<HttpContext>? CreateLimiter()
    {
        List<PartitionedRateLimiter<HttpContext>> limiters = [];
        if (Concurrent > 0)
        {
            limiters.Add(PartitionedRateLimiter.Create<HttpContext, string>(context => ClientOf(context) is { } client
                ? RateLimitPartition.GetConcurrencyLimiter(client, _ => new ConcurrencyLimiterOptions { PermitLimit = Concurrent, QueueLimit = 0 })
                : RateLimitPartition.GetNoLimiter("")));
        }

        if (RequestsPerSecond > 0)
        {
            limiters.Add(PartitionedRateLimiter.Create<HttpContext, string>(context => ClientOf(context) is { } client
                ? RateLimitPartition.GetTokenBucketLimiter(client, _ => new TokenBucketRateLimiterOptions
                {
                    TokenLimit = Math.Max(Burst, 1),
                    TokensPerPeriod = RequestsPerSecond,
                    ReplenishmentPeriod = TimeSpan.FromSeconds(1),
                    QueueLimit = 0,
                })
                : RateLimitPartition.GetNoLimiter("")));
        }

        return limiters.Count == 0 ? null : PartitionedRateLimiter.CreateChained([.. limiters]);
    }

    /// <summary>Null for what is never limited: an orchestrator must see that the proxy lives while its clients storm it.</summary>
    private static string? ClientOf(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<Unlimited>() is not null)
        {
            return null;
        }

        string? account = context.Features.Get<Account>()?.Name;
        return string.IsNullOrEmpty(account) ? "address " + AccountAuthentication.AddressOf(context) : "account " + account;
    }
}

/// <summary>Endpoint metadata: no limit counts it.</summary>
internal sealed class Unlimited
{
    public static readonly Unlimited Instance = new();
}
