using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Maintenance;

/// <summary>Everything about the images that a name or digest stands for, one per platform.</summary>
public sealed record ShowImageQuery(ImageReference Reference) : IRequest<Result<IReadOnlyList<CatalogImageDetails>>>;

internal sealed class ShowImageHandler(IImageQueries queries, ICatalogKeeping catalog) : IRequestHandler<ShowImageQuery, Result<IReadOnlyList<CatalogImageDetails>>>
{
    public async Task<Result<IReadOnlyList<CatalogImageDetails>>> Handle(ShowImageQuery request, CancellationToken cancellationToken)
    {
        IReadOnlyDictionary<Platform, NamedImage> platforms = request.Reference.Digest is { } digest
            ? await queries.FindByDigestAsync(digest, cancellationToken)
            : await queries.FindByTagAsync(request.Reference, cancellationToken);
        List<CatalogImageDetails> images = [];
        foreach (Digest manifest in platforms.OrderBy(p => p.Key.ToString(), StringComparer.Ordinal).Select(p => p.Value.Manifest).Distinct())
        {
            if (await catalog.ShowAsync(manifest, cancellationToken) is { } details)
            {
                images.Add(details);
            }
        }

        return images.Count > 0 ? images : MaintenanceErrors.NotIndexed(request.Reference.ToString());
    }
}
