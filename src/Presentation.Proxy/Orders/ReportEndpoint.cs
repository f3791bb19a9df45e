using System.Text.Json;
using MediatR;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Starlight.Application.Report;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy.Orders;

/// <summary><c>POST /starlight/report</c>: traces of container starts, as JSON. The answer says of each what became of it; only what is stored may be forgotten by the worker.</summary>
internal sealed class ReportEndpoint(IMediator mediator, TimeProvider time, ILogger<ReportEndpoint> logger)
{
    /// <summary>Five traces of the greatest length, or hundreds of usual ones.</summary>
    public const long MaxBodyLength = 32 << 20;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/starlight/report", (HttpContext context, ReportEndpoint endpoint) => endpoint.HandleAsync(context)).RequireRole(Roles.Report);

    private async Task HandleAsync(HttpContext context)
    {
        Result<ReportRequest> request = await ReadAsync(context);
        if (!request.IsSuccess)
        {
            await new ProblemResult(request.Error).ExecuteAsync(context);
            return;
        }

        Account account = AccountAuthentication.Of(context);
        DateTimeOffset now = time.GetUtcNow();
        ReportTracesCommand command = new(account.Name, request.Value.Worker ?? "", [.. (request.Value.Traces ?? []).Select(t => ReportedTraceMessage.Parse(t, now))]) { Readable = account.Images };
        Result<IReadOnlyList<TraceOutcome>> outcomes = await mediator.Send(command, context.RequestAborted);
        if (!outcomes.IsSuccess)
        {
            await new ProblemResult(outcomes.Error).ExecuteAsync(context);
            return;
        }

        ProxyLog.Reported(logger, account.Name, command.Worker, outcomes.Value.Count(o => o.Refusal is null), outcomes.Value.Count(o => o.Refusal is not null));
        await context.Response.WriteAsJsonAsync(ReportAnswer.Of(outcomes.Value), ProxyJson.Readable.ReportAnswer, contentType: null, context.RequestAborted);
    }

    private static async Task<Result<ReportRequest>> ReadAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = MaxBodyLength;
        }

        if (context.Request.ContentLength > MaxBodyLength)
        {
            return TooLarge;
        }

        try
        {
            return await JsonSerializer.DeserializeAsync(context.Request.Body, ProxyJson.Readable.ReportRequest, context.RequestAborted) is { } request ? request : Malformed("it is null");
        }
        catch (JsonException e)
        {
            return Malformed(e.Message);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            return TooLarge;
        }
    }

    private static Error TooLarge => new("Report.TooLarge", $"a report has at most {MaxBodyLength >> 20} MiB: send fewer traces at once", ErrorKind.InvalidInput);

    private static Error Malformed(string why) => new("Report.Malformed", $"the report is not the JSON that this proxy reads: {why}", ErrorKind.InvalidInput);
}
