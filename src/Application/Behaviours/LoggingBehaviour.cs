using MediatR;
using Microsoft.Extensions.Logging;

namespace Starlight.Application.Behaviours;

/// <summary>One line per use case: its name, how long it took and how it ended. Outermost, so that it sees every outcome.</summary>
internal sealed partial class LoggingBehaviour<TRequest, TResponse>(ILogger<TRequest> logger, TimeProvider time) : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>
{
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        long started = time.GetTimestamp();
        try
        {
            TResponse response = await next();
            double milliseconds = time.GetElapsedTime(started).TotalMilliseconds;
            if (ResultOf<TResponse>.Error?.Invoke(response) is { } error)
            {
                Failed(logger, typeof(TRequest).Name, milliseconds, error.Code, error.Message);
            }
            else
            {
                Succeeded(logger, typeof(TRequest).Name, milliseconds);
            }

            return response;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Cancelled(logger, typeof(TRequest).Name, time.GetElapsedTime(started).TotalMilliseconds);
            throw;
        }
    }

    [LoggerMessage(1, LogLevel.Debug, "{Request} succeeded in {Milliseconds:F1} ms")]
    private static partial void Succeeded(ILogger logger, string request, double milliseconds);

    [LoggerMessage(2, LogLevel.Warning, "{Request} failed after {Milliseconds:F1} ms: {Code}: {Message}")]
    private static partial void Failed(ILogger logger, string request, double milliseconds, string code, string message);

    [LoggerMessage(3, LogLevel.Information, "{Request} was cancelled after {Milliseconds:F1} ms")]
    private static partial void Cancelled(ILogger logger, string request, double milliseconds);
}
