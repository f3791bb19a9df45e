using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry;

/// <summary>
/// Repeats what failed for a passing reason: exponential back-off with jitter, or as long as the registry's Retry-After says. When the limit is reached the last
/// fault leaves as a <see cref="FailureException"/>.
/// </summary>
internal sealed class RegistryRetry
{
    private readonly ResiliencePipeline _pipeline;

    public RegistryRetry(string registry, RegistryOptions options, TimeProvider time, ILogger logger)
    {
        ResiliencePipelineBuilder builder = new() { TimeProvider = time };
        if (options.RetryLimit > 0)
        {
            builder.AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = options.RetryLimit,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = options.RetryDelay,
                ShouldHandle = args => ValueTask.FromResult(
                    args.Outcome.Exception is TransientRegistryException fault && (fault.RetryAfter ?? TimeSpan.Zero) <= options.RetryAfterLimit),
                DelayGenerator = args => ValueTask.FromResult((args.Outcome.Exception as TransientRegistryException)?.RetryAfter),
                OnRetry = args =>
                {
                    logger.Retrying(registry, args.AttemptNumber + 1, options.RetryLimit, args.RetryDelay.TotalMilliseconds, args.Outcome.Exception?.Message ?? "");
                    return ValueTask.CompletedTask;
                },
            });
        }

        _pipeline = builder.Build();
    }

    public async Task<T> RunAsync<T>(Func<CancellationToken, Task<T>> action, CancellationToken cancellationToken)
    {
        try
        {
            return await _pipeline.ExecuteAsync(async token => await action(token), cancellationToken);
        }
        catch (TransientRegistryException e)
        {
            throw new FailureException(e.Error, e);
        }
    }
}
