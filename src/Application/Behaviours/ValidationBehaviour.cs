using FluentValidation;
using FluentValidation.Results;
using MediatR;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Behaviours;

/// <summary>
/// Runs the validators of a request before its handler. Rules name their error code (<c>WithErrorCode("Delta.TooManyImages")</c>); all
/// broken rules are in the message, the first one gives the code.
/// </summary>
internal sealed class ValidationBehaviour<TRequest, TResponse>(IEnumerable<IValidator<TRequest>> validators) : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>
{
    private const string UnnamedRule = "Request.Invalid";

    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        List<ValidationFailure> failures = [];
        foreach (IValidator<TRequest> validator in validators)
        {
            failures.AddRange((await validator.ValidateAsync(request, cancellationToken)).Errors);
        }

        if (failures.Count == 0)
        {
            return await next();
        }

        // FluentValidation's own codes are the rule's class name and have no dot.
        string code = failures[0].ErrorCode.Contains('.', StringComparison.Ordinal) ? failures[0].ErrorCode : UnnamedRule;
        Error error = new(code, string.Join("; ", failures.Select(f => f.ErrorMessage)), ErrorKind.InvalidInput);
        return ResultOf<TResponse>.Failure is { } failure ? failure(error) : throw new FailureException(error);
    }
}
