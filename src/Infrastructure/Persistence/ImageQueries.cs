using Microsoft.EntityFrameworkCore;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Infrastructure.Persistence;

internal sealed class ImageQueries(CatalogAccess access) : IImageQueries
{
    public Task<IReadOnlyDictionary<Platform, Digest>> FindByTagAsync(ImageReference reference, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyDictionary<Platform, Digest>>(
        async context =>
        {
            (string registry, string repository, string? tag) = (reference.Registry, reference.Repository, reference.Tag);
            return await context.Tags.AsNoTracking()
                .Where(t => t.Registry == registry && t.Repository == repository && t.Tag == tag)
                .ToDictionaryAsync(t => Platform.Parse(t.Platform).Value, t => t.Image, cancellationToken);
        },
        cancellationToken);

    public Task<IReadOnlyDictionary<Platform, Digest>> FindByDigestAsync(Digest manifestOrIndex, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyDictionary<Platform, Digest>>(
        async context =>
        {
            string? platform = await context.Images.AsNoTracking().Where(i => i.Digest == manifestOrIndex).Select(i => i.Platform).FirstOrDefaultAsync(cancellationToken);
            return platform is not null
                ? new Dictionary<Platform, Digest> { [Platform.Parse(platform).Value] = manifestOrIndex }
                : await context.IndexImages.AsNoTracking()
                    .Where(m => m.Index == manifestOrIndex)
                    .ToDictionaryAsync(m => Platform.Parse(m.Platform).Value, m => m.Image, cancellationToken);
        },
        cancellationToken);
}
