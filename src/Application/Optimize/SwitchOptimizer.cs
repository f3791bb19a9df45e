using MediatR;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Optimize;

/// <summary>Containers created from now on are traced.</summary>
/// <param name="Group">Names those that are deployed together; null for none.</param>
public sealed record SwitchOptimizerOnCommand(string? Group) : IRequest<Result<OptimizerState>>;

/// <summary>No new container is traced; what is being traced for the switch ends and is on disk.</summary>
public sealed record SwitchOptimizerOffCommand : IRequest<Result<IReadOnlyList<TraceSummary>>>;

/// <summary>What is being traced, and what waits to be reported.</summary>
public sealed record GetOptimizerStateQuery : IRequest<Result<OptimizerState>>;

internal sealed class SwitchOptimizerOnHandler(ITraceLog traces) : IRequestHandler<SwitchOptimizerOnCommand, Result<OptimizerState>>
{
    public Task<Result<OptimizerState>> Handle(SwitchOptimizerOnCommand request, CancellationToken cancellationToken)
    {
        if (traces.Obstacle is { } obstacle)
        {
            return Task.FromResult<Result<OptimizerState>>(obstacle);
        }

        if (request.Group is { } group && TraceGroup.CheckName(group) is { IsSuccess: false } refused)
        {
            return Task.FromResult<Result<OptimizerState>>(refused.Error);
        }

        traces.SwitchOn(request.Group);
        return Task.FromResult<Result<OptimizerState>>(traces.State);
    }
}

internal sealed class SwitchOptimizerOffHandler(ITraceLog traces) : IRequestHandler<SwitchOptimizerOffCommand, Result<IReadOnlyList<TraceSummary>>>
{
    public Task<Result<IReadOnlyList<TraceSummary>>> Handle(SwitchOptimizerOffCommand request, CancellationToken cancellationToken) =>
        Task.FromResult(Result<IReadOnlyList<TraceSummary>>.Success(traces.SwitchOff()));
}

internal sealed class GetOptimizerStateHandler(ITraceLog traces) : IRequestHandler<GetOptimizerStateQuery, Result<OptimizerState>>
{
    public Task<Result<OptimizerState>> Handle(GetOptimizerStateQuery request, CancellationToken cancellationToken) =>
        Task.FromResult<Result<OptimizerState>>(traces.State);
}
