using System.Diagnostics;
using System.Globalization;
using MediatR;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Headers;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;
using Starlight.Application.Delta;
using Starlight.Application.Preparation;
using Starlight.Application.Telemetry;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Contents;
using Starlight.Infrastructure.Pacing;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// <c>GET|HEAD /starlight/delta?to=REF[&amp;to=REF]…&amp;platform=OS/ARCH[&amp;from=REF@DIGEST[,REF@DIGEST]…]…[&amp;layers=N][&amp;patch=true]</c>: one delta bundle, of the
/// images or of the tree that the lowest N layers of one image give. With <c>patch=true</c> changed contents may be told as what differs from those of the images in <c>from</c>.
/// A bundle's ETag names its bytes for
/// ever, so a worker that lost its connection goes on with Range and If-Range. While a bundle is being built its length is not known: it is then sent
/// chunked, a range with an end waits until that has been built, a range without one until all has, which takes less time than sending it.
/// </summary>
internal sealed class DeltaEndpoint(IMediator mediator, RegistryNames registries, BundleCache bundles, BundleSource source, WorkerVersions versions, BackgroundPace pace, ILogger<DeltaEndpoint> logger)
{
    public const string MediaType = "application/vnd.starlight.delta-bundle.v2";
    public const string ImageDigestHeader = "Starlight-Image-Digest";
    public const string FilesystemDigestHeader = "Starlight-Filesystem-Digest";

    /// <summary>Repeats <c>layers</c>, so that a worker does not take the whole image for part of it.</summary>
    public const string LayersHeader = "Starlight-Layers";

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapMethods("/starlight/delta", [HttpMethods.Get, HttpMethods.Head], (HttpContext context, DeltaEndpoint endpoint) => endpoint.HandleAsync(context)).RequireRole(Roles.Pull);

    /// <summary>1. read the request; 2. plan; 3. describe; 4. answer what needs no body; 5. send the finished file or follow the growing one.</summary>
    private async Task HandleAsync(HttpContext context)
    {
        using IDisposable serving = pace.EnterForeground();

        // 1.
        Result<GetDeltaQuery> query = Parse(context.Request, AccountAuthentication.Of(context));
        if (!query.IsSuccess)
        {
            await new ProblemResult(query.Error).ExecuteAsync(context);
            return;
        }

        // 2.
        long started = Stopwatch.GetTimestamp();
        Result<DeltaBundle> planned = await PlanAsync(query.Value, context.RequestAborted);
        ProxyTelemetry.PlanTime.Record(Stopwatch.GetElapsedTime(started).TotalSeconds);
        if (!planned.IsSuccess)
        {
            await new ProblemResult(planned.Error).ExecuteAsync(context);
            return;
        }

        DeltaBundle delta = planned.Value;
        ProxyLog.Delta(
            logger, string.Join(", ", delta.Images.Select(i => i.Reference)), query.Value.From.Count, delta.Identity, delta.Plan.Contents.Count, delta.Plan.RawLength, Stopwatch.GetElapsedTime(started).TotalMilliseconds);

        // 3.
        using CachedBundle? begun = FindBegun(context.Request, query.Value, delta, out string identity);
        EntityTagHeaderValue tag = new($"\"{identity}\"");
        ResponseHeaders headers = context.Response.GetTypedHeaders();
        headers.ETag = tag;
        context.Response.ContentType = MediaType;
        context.Response.Headers.AcceptRanges = "bytes";
        context.Response.Headers[ImageDigestHeader] = string.Join(", ", delta.Images.Select(i => i.Manifest));
        context.Response.Headers[FilesystemDigestHeader] = string.Join(", ", delta.Images.Select(i => i.Filesystem));
        if (query.Value.Layers is { } layers)
        {
            context.Response.Headers[LayersHeader] = layers.ToString(CultureInfo.InvariantCulture);
        }

        // 4.
        if (context.Request.GetTypedHeaders().IfNoneMatch.Any(t => t.Compare(tag, useStrongComparison: false) || t.Equals(EntityTagHeaderValue.Any)))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        // 5.
        if (HttpMethods.IsHead(context.Request.Method))
        {
            using CachedBundle? present = bundles.TryOpen(delta.Identity);
            context.Response.ContentLength = present?.Length;
            return;
        }

        if (!context.Request.Headers.ContainsKey(HeaderNames.Range))
        {
            // A range goes on with what was noted before.
            versions.Note(query.Value, delta);
        }

        using CachedBundle? asked = begun is null ? bundles.OpenOrBuild(identity, (output, token) => source.WriteAsync(output, delta, token), delta.Manifests) : null;
        ProxyTelemetry.ActiveStreams.Add(1);
        try
        {
            await SendAsync(context, identity, tag, begun ?? asked!);
        }
        finally
        {
            ProxyTelemetry.ActiveStreams.Add(-1);
        }
    }

    /// <summary>
    /// What the client goes on with is not what its request means by now if an order has changed meanwhile. The bytes of both are right: while the bundle is there it is sent to its end. Only one of the same
    /// images, which the account has just been found to be allowed.
    /// </summary>
    private CachedBundle? FindBegun(HttpRequest request, GetDeltaQuery query, DeltaBundle delta, out string identity)
    {
        identity = delta.Identity;
        RequestHeaders headers = request.GetTypedHeaders();
        if (!HttpMethods.IsGet(request.Method) || query.Layers is not null || headers.Range is not { Ranges.Count: 1 } || headers.IfRange?.EntityTag is not { IsWeak: false } tag || tag.Tag.AsSpan().Trim('"').SequenceEqual(delta.Identity))
        {
            return null;
        }

        string begun = tag.Tag.ToString().Trim('"');
        CachedBundle? bundle = bundles.TryOpen(begun, delta.Manifests);
        identity = bundle is null ? identity : begun;
        return bundle;
    }

    private async Task<Result<DeltaBundle>> PlanAsync(GetDeltaQuery query, CancellationToken cancellationToken)
    {
        using Activity? span = ProxyTelemetry.Source.StartActivity("plan delta");
        return await mediator.Send(query, cancellationToken);
    }

    private Result<GetDeltaQuery> Parse(HttpRequest request, Account account)
    {
        Result<ImageParameters> images = ImageParameters.Read(request, registries, account);
        Result<IReadOnlyList<ImageReference>> from = ImageParameters.References(request, "from", registries);
        bool patch = request.Query["patch"] is [{ } wish] && wish.Equals("true", StringComparison.OrdinalIgnoreCase);
        return (images.Error ?? from.Error) is { } error
            ? error
            : new GetDeltaQuery(images.Value.To, images.Value.Platform, from.Value, images.Value.Layers, patch) { Readable = account.Images };
    }

    private async Task SendAsync(HttpContext context, string identity, EntityTagHeaderValue tag, CachedBundle bundle)
    {
        try
        {
            await bundle.WaitForAsync(RequestedPart.Needs(context.Request, tag), context.RequestAborted);

            // Known for a finished bundle: then the client can tell by itself whether it has all.
            long? length = bundle.Length;
            RequestedPart part = RequestedPart.Of(context.Request, tag, length);
            context.Response.StatusCode = part.Status;
            context.Response.ContentLength = part.Length;
            context.Response.Headers.ContentRange = part.ContentRange(length);

            // The head goes out first, so that nothing waits in between when a file follows it.
            await context.Response.StartAsync(context.RequestAborted);
            IFileSender? sender = length is null ? null : context.Features.Get<IFileSender>();
            ProxyTelemetry.SentBytes.Add(await bundle.CopyToAsync(context.Response.BodyWriter, sender, part.Offset, part.Length, context.RequestAborted));
        }
        catch (IOException e) when (!context.RequestAborted.IsCancellationRequested)
        {
            if (!context.Response.HasStarted && e.InnerException is FailureException failure)
            {
                context.Response.Clear();
                throw failure;
            }

            // The client must not take what it has for the whole: no final chunk, the connection is reset.
            ProxyLog.DeltaAborted(logger, identity, e.Message);
            context.Abort();
        }
    }
}
