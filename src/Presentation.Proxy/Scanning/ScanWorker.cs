using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Starlight.Application.Scanner;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Pacing;

namespace Starlight.Presentation.Proxy.Scanning;

/// <summary>Does the scanner's jobs in the background, a few at a time.</summary>
internal sealed class ScanWorker(IServiceScopeFactory scopes, ScannerSettings settings, ScanWorkerName name, TimeProvider time, ILogger<ScanWorker> logger) : BackgroundService
{
    /// <summary>How soon jobs are seen that another proxy has queued, or whose pause is over. Those that this proxy accepts are begun at once.</summary>
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan ForgetInterval = TimeSpan.FromHours(12);

    private readonly SemaphoreSlim _wake = new(0);

    /// <summary>There may be something to do.</summary>
    public void Wake()
    {
        if (_wake.CurrentCount == 0)
        {
            _wake.Release(settings.Parallel);
        }
    }

    public override void Dispose()
    {
        _wake.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        using IDisposable background = BackgroundPace.EnterBackground();
        try
        {
            while (!(await SendAsync(new ReclaimScanJobsCommand(name.Proxy), stoppingToken)).IsSuccess)
            {
                await Task.Delay(Poll, time, stoppingToken);
            }

            await Task.WhenAll(Enumerable.Range(0, settings.Parallel).Select(_ => RunAsync(stoppingToken)).Append(ForgetAsync(stoppingToken)));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The proxy stops; jobs have gone back into the queue.
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            bool ran = false;
            try
            {
                Result<bool> result = await SendAsync(new RunNextScanJobCommand(name.Owner), stop);
                ran = result.IsSuccess && result.Value;
            }
            catch (Exception e) when (!stop.IsCancellationRequested)
            {
                // One job must not end the loop for all: its lease runs out, and it is tried again.
                ProxyLog.ScanLoopFailed(logger, e);
            }

            if (!ran)
            {
                await _wake.WaitAsync(Poll, stop);
            }
        }
    }

    private async Task ForgetAsync(CancellationToken stop)
    {
        using PeriodicTimer timer = new(ForgetInterval, time);
        do
        {
            // The next time does as well as this one; the pipeline has logged why.
            await SendAsync(new ForgetScanJobsCommand(), stop);
        }
        while (await timer.WaitForNextTickAsync(stop));
    }

    private async Task<T> SendAsync<T>(IRequest<T> request, CancellationToken cancellationToken)
    {
        await using AsyncServiceScope scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(request, cancellationToken);
    }
}
