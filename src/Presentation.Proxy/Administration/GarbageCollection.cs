using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Starlight.Application.Maintenance;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Administration;

/// <param name="Grace">See <see cref="CollectGarbageCommand"/>.</param>
/// <param name="LocalOnly">There are no accounts: only this machine may administer.</param>
internal sealed record AdminOptions(TimeSpan Grace, bool LocalOnly);

/// <summary>Collects garbage now and then. Proxies on one database may do so at the same time: each cleans its own disk, and the catalog keeps them apart.</summary>
internal sealed class GarbageCollection(IServiceScopeFactory scopes, AdminOptions options, TimeProvider time, ILogger<GarbageCollection> logger) : BackgroundService
{
    /// <summary>Reads every image's tree once: seconds for hundreds of images. Arbitrary.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromHours(6);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using PeriodicTimer timer = new(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await using AsyncServiceScope scope = scopes.CreateAsyncScope();
                Result<CollectedGarbage> result = await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new CollectGarbageCommand(options.Grace), stoppingToken);
                if (result.IsSuccess)
                {
                    Log(logger, result.Value);
                }
                else
                {
                    ProxyLog.NotCollected(logger, result.Error.Message);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A disk that fails now must not end a proxy that can serve.
                ProxyLog.NotCollected(logger, e.Message);
            }
        }
    }

    internal static void Log(ILogger logger, CollectedGarbage garbage) => ProxyLog.Collected(
        logger, garbage.Catalog.Images, garbage.Catalog.Layers, garbage.Catalog.Indexes, garbage.Contents, garbage.ContentBytes, garbage.Bundles, garbage.BundleBytes);
}
