using System.Globalization;
using Microsoft.AspNetCore.Http;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>Status 429 (RFC 6585 section 4) with Retry-After in whole seconds (RFC 9110 section 10.2.3).</summary>
internal static class TooManyRequests
{
    public static Task WriteAsync(HttpContext context, string code, string reason, TimeSpan wait)
    {
        int seconds = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds));
        context.Response.StatusCode = StatusCodes.Status429TooManyRequests;
        context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        Problem problem = new("Too Many Requests", StatusCodes.Status429TooManyRequests, string.Create(CultureInfo.InvariantCulture, $"{reason}: try again in {seconds} s"), code);
        return context.Response.WriteAsJsonAsync(problem, ProxyJson.Readable.Problem, Problem.MediaType, context.RequestAborted);
    }
}
