using MediatR;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Starlight.Application.Report;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Orders;

/// <summary>
/// <c>GET /starlight/order?ref=REF[&amp;platform=OS/ARCH][&amp;all=true][&amp;version=any]</c>: in which order an image's contents are sent. Without <c>all</c> only those that are expected to be opened during
/// start-up. With <c>version=any</c>, if the tag is not known, the order of another version of its repository that was traced. For whoever may pull the image, and so sees its names anyway.
/// </summary>
internal sealed class OrderEndpoint(IMediator mediator, RegistryNames registries)
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/starlight/order", (HttpContext context, OrderEndpoint endpoint) => endpoint.HandleAsync(context)).RequireRole(Roles.Pull);

    private async Task HandleAsync(HttpContext context)
    {
        Result<GetOrderQuery> query = Parse(context.Request, AccountAuthentication.Of(context));
        Result<IReadOnlyList<ImageOrder>> orders = query.IsSuccess ? await mediator.Send(query.Value, context.RequestAborted) : query.Error;
        bool all = context.Request.Query["all"] is [{ } wish] && wish.Equals("true", StringComparison.OrdinalIgnoreCase);
        await (orders.IsSuccess
            ? context.Response.WriteAsJsonAsync(OrderAnswer.Of(orders.Value, all), ProxyJson.Readable.OrderAnswer, contentType: null, context.RequestAborted)
            : new ProblemResult(orders.Error).ExecuteAsync(context));
    }

    private Result<GetOrderQuery> Parse(HttpRequest request, Account account)
    {
        Result<ImageReference> reference = ImageParameters.Ref(request, registries, account);
        if (!reference.IsSuccess)
        {
            return reference.Error;
        }

        Platform? platform = null;
        if (request.Query["platform"] is [{ Length: > 0 } name])
        {
            Result<Platform> parsed = Platform.Parse(name);
            if (!parsed.IsSuccess)
            {
                return parsed.Error;
            }

            platform = parsed.Value;
        }

        bool anyVersion = request.Query["version"] is ["any"];
        return new GetOrderQuery(reference.Value, platform) { Readable = account.Images, AnyVersion = anyVersion };
    }
}

/// <summary>Answer of <c>GET /starlight/order</c>; sizes in bytes, times in microseconds.</summary>
internal sealed record OrderAnswer(IReadOnlyList<OrderAnswerImage> Images)
{
    public static OrderAnswer Of(IReadOnlyList<ImageOrder> orders, bool all) => new([.. orders.Select(o => OrderAnswerImage.Of(o, all))]);
}

/// <param name="Basis"><c>traces</c>, <c>inherited</c> or <c>predicted</c>.</param>
internal sealed record OrderAnswerImage(
    string Platform, string Digest, string Basis, int Traces, string? InheritedFrom, int Hot, long HotBytes, int Count, IReadOnlyList<string> Groups, IReadOnlyList<OrderAnswerContent> Contents)
{
    public static OrderAnswerImage Of(ImageOrder order, bool all) => new(
        order.Platform.ToString(),
        order.Manifest.ToString(),
        order.InheritedFrom is not null ? "inherited" : order.Traces > 0 ? "traces" : "predicted",
        order.Traces,
        order.InheritedFrom?.ToString(),
        order.HotCount,
        order.HotBytes,
        order.Contents.Count,
        order.Groups,
        [.. order.Contents.Take(all ? order.Contents.Count : order.HotCount).Select(OrderAnswerContent.Of)]);
}

/// <param name="Rank">Null if no trace of this image opened it; so is <paramref name="At"/>.</param>
internal sealed record OrderAnswerContent(string Digest, long Size, double? Rank, long? At, int Traces, IReadOnlyList<string> Paths)
{
    public static OrderAnswerContent Of(OrderedContent content) => new(
        content.Content.Digest.ToString(), content.Content.Size, content.Rank, content.At?.Ticks / TimeSpan.TicksPerMicrosecond, content.Traces, [.. content.Paths.Select(p => "/" + p.Display)]);
}
