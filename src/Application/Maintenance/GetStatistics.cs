using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Maintenance;

/// <summary>How much this proxy keeps.</summary>
public sealed record GetStatisticsQuery : IRequest<Result<ProxyStatistics>>;

/// <param name="Catalog">Null while the database cannot be reached.</param>
/// <param name="CatalogFault">Why; null if it can.</param>
public sealed record ProxyStatistics(CatalogCounts? Catalog, string? CatalogFault, StoreUsage Contents, int Bundles, long BundleBytes, int BundlesBuilding);

internal sealed class GetStatisticsHandler(ICatalogKeeping catalog, IContentStore contents, IBundleKeeping bundles) : IRequestHandler<GetStatisticsQuery, Result<ProxyStatistics>>
{
    public async Task<Result<ProxyStatistics>> Handle(GetStatisticsQuery request, CancellationToken cancellationToken)
    {
        (int count, long bytes, int building) = bundles.Usage;
        try
        {
            return new ProxyStatistics(await catalog.CountAsync(cancellationToken), null, contents.Usage, count, bytes, building);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.Unavailable)
        {
            // What is on disk can be told without the database, and that it is down is what one wants to know.
            return new ProxyStatistics(null, e.Message, contents.Usage, count, bytes, building);
        }
    }
}
