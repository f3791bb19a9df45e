using MediatR;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Application.Optimize;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Worker.Configuration;

namespace Starlight.Presentation.Worker.Reporting;

/// <summary>
/// Sends in the background what the daemon reports by itself: traces of containers that waited for their image although another order would have spared them that, and those asked for by a
/// label. A proxy that cannot be reached, or an account that may not report, is tried again ever more rarely; nobody waits for it.
/// </summary>
internal sealed partial class UnaskedReports(IServiceScopeFactory scopes, ITraceLog traces, DaemonSettings settings, TimeProvider time, ILogger<UnaskedReports> logger) : BackgroundService
{
    /// <summary>The line belongs to the pull and its container first. Arbitrary.</summary>
    private static readonly TimeSpan Delay = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await traces.WaitForReportableAsync(stoppingToken);
                await Task.Delay(Delay, time, stoppingToken);
                await SendAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        TimeSpan pause = FirstPause;
        while (await TrySendAsync(cancellationToken) is { } failure)
        {
            LogFailed(failure.Message, (long)pause.TotalSeconds);
            await Task.Delay(pause, time, cancellationToken);
            pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
        }
    }

    /// <returns>Why some could not be sent; null if all were.</returns>
    private async Task<Error?> TrySendAsync(CancellationToken cancellationToken)
    {
        await using AsyncServiceScope scope = scopes.CreateAsyncScope();
        Result<SentTraces> sent = await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new SendTracesCommand(ProfileName: null, settings.Id, OnlyUnasked: true), cancellationToken);
        if (!sent.IsSuccess)
        {
            return sent.Error;
        }

        foreach (SentImage image in sent.Value.Images)
        {
            LogSent(image.Reference, image.Traces);
        }

        foreach (RefusedTrace refused in sent.Value.Refused)
        {
            LogRefused(refused.Reference, refused.Reason.Message);
        }

        return sent.Value.Failure;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "reported {Count} traces of {Image}: the next pull has a better order")]
    private partial void LogSent(string image, int count);

    [LoggerMessage(Level = LogLevel.Information, Message = "the proxy does not take a trace of {Image}, which is forgotten: {Reason}")]
    private partial void LogRefused(string image, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "traces cannot be reported now ({Reason}); trying again in {PauseSeconds} s")]
    private partial void LogFailed(string reason, long pauseSeconds);
}
