using System.Globalization;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// <c>GET|HEAD /starlight/prime?bytes=N</c>: N bytes that mean nothing. A connection that has carried data knows how fast the line is, so a daemon that has nothing to ask for yet asks for these.
/// </summary>
internal static class PrimeEndpoint
{
    /// <summary>In flight on 200 Mbit/s over 160 ms, which is enough to learn any such line's speed; bounds what one request costs.</summary>
    public const int MaxBytes = 4 << 20;

    /// <summary>Nothing on the way can make it shorter: no compression looks back so far over so many.</summary>
    private static readonly byte[] Noise = RandomNumberGenerator.GetBytes(64 << 10);

    public static void Map(IEndpointRouteBuilder routes) => routes.MapMethods("/starlight/prime", [HttpMethods.Get, HttpMethods.Head], HandleAsync).RequireRole(Roles.Pull);

    private static async Task HandleAsync(HttpContext context)
    {
        if (context.Request.Query["bytes"] is not [{ } text] || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int bytes) || bytes > MaxBytes)
        {
            await new ProblemResult(new Error("Prime.BytesOutOfRange", string.Create(CultureInfo.InvariantCulture, $"say with 'bytes' how many are wanted, 0 to {MaxBytes}"), ErrorKind.InvalidInput)).ExecuteAsync(context);
            return;
        }

        context.Response.ContentType = "application/octet-stream";
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentLength = bytes;
        for (int left = HttpMethods.IsHead(context.Request.Method) ? 0 : bytes; left > 0; left -= Noise.Length)
        {
            await context.Response.Body.WriteAsync(Noise.AsMemory(0, Math.Min(left, Noise.Length)), context.RequestAborted);
        }
    }
}
