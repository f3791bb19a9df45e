using System.Globalization;
using System.Net;
using System.Text.Json.Serialization.Metadata;
using MediatR;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Maintenance;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Administration;

/// <summary>
/// The operator's endpoints:
/// <code>
/// GET    /starlight/admin/images            every image
/// GET    /starlight/admin/image?ref=REF     everything about one
/// DELETE /starlight/admin/image?ref=REF     a tag, or with REF@DIGEST or DIGEST the image itself
/// POST   /starlight/admin/gc[?grace=HOURS]  collect garbage now
/// GET    /starlight/admin/stats             how much is kept
/// </code>
/// For accounts with the role admin; where there are no accounts, to this machine only.
/// </summary>
internal static class AdminEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder admin = routes.MapGroup("/starlight/admin").RequireRole(Roles.Admin);
        admin.MapGet("/images", (HttpContext context, IMediator mediator) =>
            AnswerAsync(context, () => mediator.Send(new ListImagesQuery(), context.RequestAborted), AdminImages.Of, ProxyJson.Readable.AdminImages));
        admin.MapGet("/image", (HttpContext context, IMediator mediator, RegistryNames registries) =>
            AnswerAsync(context, () => WithReferenceAsync(context, registries, r => mediator.Send(new ShowImageQuery(r), context.RequestAborted)), AdminDetails.Of, ProxyJson.Readable.AdminDetails));
        admin.MapDelete("/image", (HttpContext context, IMediator mediator, RegistryNames registries, ILogger<GarbageCollection> logger) =>
            AnswerAsync(context, () => WithReferenceAsync(context, registries, r => DeleteAsync(mediator, r, logger, context.RequestAborted)), AdminRemoval.Of, ProxyJson.Readable.AdminRemoval));
        admin.MapPost("/gc", (HttpContext context, IMediator mediator, AdminOptions options, ILogger<GarbageCollection> logger) =>
            AnswerAsync(context, () => CollectAsync(context, mediator, options, logger), AdminGarbage.Of, ProxyJson.Readable.AdminGarbage));
        admin.MapGet("/stats", (HttpContext context, IMediator mediator) =>
            AnswerAsync(context, () => mediator.Send(new GetStatisticsQuery(), context.RequestAborted), AdminStatistics.Of, ProxyJson.Readable.AdminStatistics));
    }

    private static async Task AnswerAsync<T, TAnswer>(HttpContext context, Func<Task<Result<T>>> run, Func<T, TAnswer> describe, JsonTypeInfo<TAnswer> json)
    {
        // With accounts, the role has been checked. A connection without an address is one of the test server's or a Unix socket's: local.
        // What a reverse proxy on this machine passes on comes from anywhere.
        if (context.RequestServices.GetRequiredService<AdminOptions>().LocalOnly
            && ((context.Connection.RemoteIpAddress is { } address && !IPAddress.IsLoopback(address))
                || context.Request.Headers.Keys.Any(h => h.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase) || h.Equals("Forwarded", StringComparison.OrdinalIgnoreCase) || h.Equals("Via", StringComparison.OrdinalIgnoreCase))))
        {
            await new ProblemResult(new Error("Admin.NotLocal", "without accounts, administration is only answered to the machine that the proxy runs on: make an account with the role admin", ErrorKind.PermissionDenied)).ExecuteAsync(context);
            return;
        }

        Result<T> result = await run();
        await (result.IsSuccess
            ? context.Response.WriteAsJsonAsync(describe(result.Value), json, contentType: null, context.RequestAborted)
            : new ProblemResult(result.Error).ExecuteAsync(context));
    }

    private static async Task<Result<T>> WithReferenceAsync<T>(HttpContext context, RegistryNames registries, Func<ImageReference, Task<Result<T>>> run)
    {
        if (context.Request.Query["ref"] is not [{ Length: > 0 } text])
        {
            return ImageParameters.RefMissing;
        }

        // A digest names an image wherever it came from.
        Result<ImageReference> reference = registries.Parse(Digest.TryParse(text, out Digest digest) ? $"any@{digest}" : text);
        return reference.IsSuccess ? await run(reference.Value) : reference.Error;
    }

    private static async Task<Result<CatalogRemoval>> DeleteAsync(IMediator mediator, ImageReference reference, ILogger logger, CancellationToken cancellationToken)
    {
        Result<CatalogRemoval> removed = await mediator.Send(new DeleteImageCommand(reference), cancellationToken);
        if (removed.IsSuccess)
        {
            ProxyLog.Deleted(logger, reference.ToString(), removed.Value.Tags, removed.Value.Images, removed.Value.Indexes);
        }

        return removed;
    }

    private static async Task<Result<CollectedGarbage>> CollectAsync(HttpContext context, IMediator mediator, AdminOptions options, ILogger logger)
    {
        TimeSpan grace = options.Grace;
        if (context.Request.Query["grace"] is [{ Length: > 0 } text])
        {
            if (!double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double hours) || !(hours <= MaxGraceHours))
            {
                return new Error("Request.GraceMalformed", $"'{text}' is not a number of hours", ErrorKind.InvalidInput);
            }

            grace = TimeSpan.FromHours(hours);
        }

        Result<CollectedGarbage> result = await mediator.Send(new CollectGarbageCommand(grace), context.RequestAborted);
        if (result.IsSuccess)
        {
            GarbageCollection.Log(logger, result.Value);
        }

        return result;
    }

    /// <summary>Ten years.</summary>
    private const double MaxGraceHours = 10 * 365 * 24;
}
