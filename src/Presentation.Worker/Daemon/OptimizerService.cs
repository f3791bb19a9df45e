using MediatR;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Application.Optimize;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Presentation.Worker.Configuration;
using State = Starlight.Infrastructure.Grpc.Protocol.OptimizerState;

namespace Starlight.Presentation.Worker.Daemon;

/// <summary>The part of the service <c>api.Daemon</c> that is about traces and orders.</summary>
internal sealed class OptimizerService(IMediator mediator, DaemonSettings settings)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcUnary(DaemonMethods.SetOptimizer, (request, call) => Of(call).SwitchAsync(request, call.CancellationToken));
        endpoints.MapGrpcUnary(DaemonMethods.GetOptimizerState, (_, call) => Of(call).GetStateAsync(call.CancellationToken));
        endpoints.MapGrpcUnary(DaemonMethods.ReportTraces, (request, call) => Of(call).ReportAsync(request, call.CancellationToken));
        endpoints.MapGrpcUnary(DaemonMethods.GetOrder, (request, call) => Of(call).GetOrderAsync(request, call.CancellationToken));
    }

    private static OptimizerService Of(GrpcCallContext call) => call.Services.GetRequiredService<OptimizerService>();

    private async Task<State> SwitchAsync(SetOptimizerRequest request, CancellationToken cancellationToken)
    {
        if (request.Enable)
        {
            return ToMessage((await mediator.Send(new SwitchOptimizerOnCommand(request.Group.Length == 0 ? null : request.Group), cancellationToken)).Value);
        }

        IReadOnlyList<TraceSummary> ended = (await mediator.Send(new SwitchOptimizerOffCommand(), cancellationToken)).Value;
        State state = await GetStateAsync(cancellationToken);
        state.FinishedNow.AddRange(ended.Select(t => t.Header.Id.ToString("D")));
        return state;
    }

    private async Task<State> GetStateAsync(CancellationToken cancellationToken) => ToMessage((await mediator.Send(new GetOptimizerStateQuery(), cancellationToken)).Value);

    private async Task<ReportTracesResponse> ReportAsync(ReportTracesRequest request, CancellationToken cancellationToken)
    {
        SentTraces sent = (await mediator.Send(new SendTracesCommand(request.ProxyProfile, settings.Id), cancellationToken)).Value;
        ReportTracesResponse response = new() { Kept = sent.Kept, FailureCode = sent.Failure?.Code ?? "", Failure = sent.Failure?.Message ?? "" };
        response.Images.AddRange(sent.Images.Select(i => new ReportTracesResponse.Types.Image { Reference = i.Reference, Traces = i.Traces, Opens = i.Opens }));
        response.Refusals.AddRange(sent.Refused.Select(r => new ReportTracesResponse.Types.Refusal { Reference = r.Reference, Code = r.Reason.Code, Reason = r.Reason.Message }));
        return response;
    }

    private async Task<GetOrderResponse> GetOrderAsync(GetOrderRequest request, CancellationToken cancellationToken)
    {
        Platform? platform = request.Platform switch { "" => Platform.Local, "all" => null, var name => Platform.Parse(name).Value };
        GetProxyOrderQuery query = new(request.ProxyProfile, ImageReference.Parse(request.Reference).Value, platform, request.All, request.AnyVersion);
        GetOrderResponse response = new();
        response.Images.AddRange((await mediator.Send(query, cancellationToken)).Value.Select(ToMessage));
        return response;
    }

    private static State ToMessage(Application.Abstractions.Tracing.OptimizerState state)
    {
        State message = new() { Enabled = state.On, Group = state.On ? state.Group ?? "" : "" };
        message.Running.AddRange(state.Running.Select(ToMessage));
        message.Finished.AddRange(state.Finished.Select(ToMessage));
        return message;
    }

    private static State.Types.Trace ToMessage(TraceSummary trace) => new()
    {
        Id = trace.Header.Id.ToString("D"),
        Reference = trace.Header.Reference,
        Group = trace.Header.Group?.Name ?? "",
        Source = trace.Header.Source.ToString().ToLowerInvariant(),
        StartedAtMs = trace.Header.StartedAt.ToUnixTimeMilliseconds(),
        Opens = trace.Opens,
        WaitedMs = (long)trace.Waited.TotalMilliseconds,
    };

    private static GetOrderResponse.Types.Image ToMessage(SentOrder order)
    {
        GetOrderResponse.Types.Image image = new()
        {
            Platform = order.Platform,
            Digest = order.Digest,
            Basis = order.Basis,
            Traces = order.Traces,
            InheritedFrom = order.InheritedFrom ?? "",
            Hot = order.Hot,
            HotBytes = order.HotBytes,
            Count = order.Count,
            Groups = { order.Groups },
        };
        image.Contents.AddRange(order.Contents.Select(c => new GetOrderResponse.Types.Content
        {
            Digest = c.Digest,
            Size = c.Size,
            Traces = c.Traces,
            Rank = c.Rank ?? 0,
            AtUs = c.At ?? 0,
            Paths = { c.Paths },
        }));
        return image;
    }
}
