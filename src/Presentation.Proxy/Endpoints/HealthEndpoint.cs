using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>The answer that clients since the first version ask for to see whether a proxy is there.</summary>
internal sealed record HealthAnswer(
    [property: JsonPropertyName("status")] string Status,
    [property: JsonPropertyName("code")] int Code,
    [property: JsonPropertyName("message")] string Message);

/// <summary>
/// <c>/health-check</c> and <c>/health/live</c>: the process answers. <c>/health/ready</c>: what it can do. Degraded (200) is a proxy whose database is down: it serves what it has in memory and in its bundle
/// cache, so taking it out of service would make things worse. Stopping is 503.
/// </summary>
internal sealed class HealthEndpoint(ICatalogHealth catalog, IHostApplicationLifetime lifetime, TimeProvider time)
{
    private static readonly HealthAnswer Alive = new("OK", StatusCodes.Status200OK, "Starlight Proxy");

    /// <summary>Anybody may ask, and asking must not become work for the database.</summary>
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _checking = new(1);
    private long? _checkedAt;
    private Error? _fault;

    public static void Map(IEndpointRouteBuilder routes)
    {
        string[] read = [HttpMethods.Get, HttpMethods.Head];
        routes.MapMethods("/", [.. read, HttpMethods.Post], LiveAsync).AllowEverybody();
        routes.MapMethods("/health-check", read, LiveAsync).AllowEverybody();
        routes.MapMethods("/health/live", read, LiveAsync).AllowEverybody();
        routes.MapMethods("/health/ready", read, (HttpContext context, HealthEndpoint endpoint) => endpoint.ReadyAsync(context)).AllowEverybody();
    }

    /// <summary>Needs no login; but a wrong one is refused, so that <c>ctr-starlight test</c> finds it.</summary>
    private static async Task LiveAsync(HttpContext context)
    {
        if (context.Request.Headers.Authorization.Count > 0 && !(await context.AuthenticateAsync()).Succeeded)
        {
            await context.ChallengeAsync();
            return;
        }

        await WriteAsync(context, Alive);
    }

    private async Task ReadyAsync(HttpContext context)
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            await WriteAsync(context, new HealthAnswer("stopping", StatusCodes.Status503ServiceUnavailable, "running answers are being finished"));
            return;
        }

        Error? fault = await CheckAsync(context.RequestAborted);
        await WriteAsync(context, fault is null ? Alive : new HealthAnswer("degraded", StatusCodes.Status200OK, fault.Message.ReplaceLineEndings(" ")));
    }

    private async Task<Error?> CheckAsync(CancellationToken cancellationToken)
    {
        await _checking.WaitAsync(cancellationToken);
        try
        {
            if (_checkedAt is not { } last || time.GetElapsedTime(last) >= Freshness)
            {
                _fault = await catalog.CheckAsync(cancellationToken);
                _checkedAt = time.GetTimestamp();
            }

            return _fault;
        }
        finally
        {
            _checking.Release();
        }
    }

    private static Task WriteAsync(HttpContext context, HealthAnswer answer)
    {
        context.Response.StatusCode = answer.Code;
        return context.Response.WriteAsJsonAsync(answer, ProxyJson.Readable.HealthAnswer, contentType: null, context.RequestAborted);
    }
}
