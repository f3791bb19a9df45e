using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Preparation;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Preparation;

/// <summary>
/// Has the bundles of an image prepared again when reports have changed its order: they begin with other contents now, so what was prepared is not what the next worker asks for. Only of the newest version
/// of a repository, as workers are not updated to others. Of the proxies on one database the one that got the report does it.
/// </summary>
internal sealed class OrderFollower(ChangedOrders changed, IImageQueries queries, ImagesToPrepare images, PreparationOptions options, ILogger<OrderFollower> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Bundles == 0)
        {
            return;
        }

        await foreach (Digest image in changed.ReadAllAsync(options.OrderRest, stoppingToken))
        {
            try
            {
                foreach (ImageReference name in await queries.FindNewestTagsAsync(image, stoppingToken))
                {
                    images.Announce(name);
                }
            }
            catch (FailureException e)
            {
                // Nobody waits for it: workers are served without.
                ProxyLog.NotPrepared(logger, image.ToString(), e.Message);
            }
        }
    }
}
