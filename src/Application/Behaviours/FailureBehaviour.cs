using MediatR;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Behaviours;

/// <summary>
/// Turns the failures that adapters throw into results, so that a use case has one way to fail (ADR 0003). Cancellation and bugs pass:
/// they are not outcomes that a caller can act on.
/// </summary>
internal sealed class FailureBehaviour<TRequest, TResponse> : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>
{
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        try
        {
            return await next();
        }
        catch (FailureException e) when (ResultOf<TResponse>.Failure is { } failure)
        {
            return failure(e.Error);
        }
    }
}
