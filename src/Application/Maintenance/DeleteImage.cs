using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Maintenance;

/// <summary>
/// Lets a tag stand for nothing, or removes the image or index that a digest names with every tag that stands for it. Bundles being sent are not touched, nor are contents: what
/// nothing refers to any more goes with the next garbage collection.
/// </summary>
public sealed record DeleteImageCommand(ImageReference Reference) : IRequest<Result<CatalogRemoval>>;

internal sealed class DeleteImageHandler(ICatalogKeeping catalog) : IRequestHandler<DeleteImageCommand, Result<CatalogRemoval>>
{
    public async Task<Result<CatalogRemoval>> Handle(DeleteImageCommand request, CancellationToken cancellationToken)
    {
        CatalogRemoval removed = request.Reference.Digest is { } digest
            ? await catalog.DeleteDigestAsync(digest, cancellationToken)
            : await catalog.DeleteTagAsync(request.Reference, cancellationToken);
        return removed is { Tags: 0, Images: 0, Indexes: 0 } ? MaintenanceErrors.NotIndexed(request.Reference.ToString()) : removed;
    }
}
