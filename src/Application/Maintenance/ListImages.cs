using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Maintenance;

/// <summary>Every image that is indexed, by name, then those without one.</summary>
public sealed record ListImagesQuery : IRequest<Result<IReadOnlyList<CatalogImage>>>;

internal sealed class ListImagesHandler(ICatalogKeeping catalog) : IRequestHandler<ListImagesQuery, Result<IReadOnlyList<CatalogImage>>>
{
    public async Task<Result<IReadOnlyList<CatalogImage>>> Handle(ListImagesQuery request, CancellationToken cancellationToken) =>
        Result<IReadOnlyList<CatalogImage>>.Success(await catalog.ListAsync(cancellationToken));
}
