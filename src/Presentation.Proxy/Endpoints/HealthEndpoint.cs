using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Starlight.Presentation.Proxy.Access;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>The answer that clients since the first version ask for to see whether a proxy is there.</summary>
internal sealed record HealthAnswer(
    [property: JsonPropertyName("status")] string Status,
    [property: JsonPropertyName("code")] int Code,
    [property: JsonPropertyName("message")] string Message);

internal static class HealthEndpoint
{
    private static readonly HealthAnswer Answer = new("OK", StatusCodes.Status200OK, "Starlight Proxy");

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/", [HttpMethods.Get, HttpMethods.Head, HttpMethods.Post], WriteAsync).AllowEverybody();
        routes.MapMethods("/health-check", [HttpMethods.Get, HttpMethods.Head], WriteAsync).AllowEverybody();
    }

    /// <summary>Needs no login; but a wrong one is refused, so that <c>ctr-starlight test</c> finds it.</summary>
    private static async Task WriteAsync(HttpContext context)
    {
        if (context.Request.Headers.Authorization.Count > 0 && !(await context.AuthenticateAsync()).Succeeded)
        {
            await context.ChallengeAsync();
            return;
        }

        await context.Response.WriteAsJsonAsync(Answer, ProxyJson.Readable.HealthAnswer, contentType: null, context.RequestAborted);
    }
}
