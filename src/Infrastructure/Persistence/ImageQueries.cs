using Microsoft.EntityFrameworkCore;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Infrastructure.Persistence;

internal sealed class ImageQueries(CatalogAccess access) : IImageQueries
{
    public Task<IReadOnlyDictionary<Platform, NamedImage>> FindByTagAsync(ImageReference reference, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyDictionary<Platform, NamedImage>>(
        async context =>
        {
            (string registry, string repository, string? tag) = (reference.Registry, reference.Repository, reference.Tag);
            return await context.Tags.AsNoTracking()
                .Where(t => t.Registry == registry && t.Repository == repository && t.Tag == tag)
                .Select(t => new { t.Platform, t.Image, t.Index, Order = context.LearnedOrders.Where(o => o.Image == t.Image).Select(o => (Digest?)o.Name).FirstOrDefault() })
                .ToDictionaryAsync(t => Platform.Parse(t.Platform).Value, t => new NamedImage(t.Image, t.Index, t.Order), cancellationToken);
        },
        cancellationToken);

    public Task<IReadOnlyDictionary<Platform, NamedImage>> FindByDigestAsync(Digest manifestOrIndex, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyDictionary<Platform, NamedImage>>(
        async context =>
        {
            var image = await context.Images.AsNoTracking().Where(i => i.Digest == manifestOrIndex)
                .Select(i => new { i.Platform, Order = context.LearnedOrders.Where(o => o.Image == i.Digest).Select(o => (Digest?)o.Name).FirstOrDefault() })
                .FirstOrDefaultAsync(cancellationToken);
            return image is not null
                ? new Dictionary<Platform, NamedImage> { [Platform.Parse(image.Platform).Value] = new(manifestOrIndex, Index: null, image.Order) }
                : await context.IndexImages.AsNoTracking()
                    .Where(m => m.Index == manifestOrIndex)
                    .Select(m => new { m.Platform, m.Image, m.Index, Order = context.LearnedOrders.Where(o => o.Image == m.Image).Select(o => (Digest?)o.Name).FirstOrDefault() })
                    .ToDictionaryAsync(m => Platform.Parse(m.Platform).Value, m => new NamedImage(m.Image, m.Index, m.Order), cancellationToken);
        },
        cancellationToken);

    public Task<IndexedIndex?> FindIndexAsync(Digest index, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            IndexRow? row = await context.Indexes.AsNoTracking().FirstOrDefaultAsync(i => i.Digest == index, cancellationToken);
            return row is null ? null : new IndexedIndex(row.Digest, row.MediaType, row.Raw);
        },
        cancellationToken);

    public Task<IReadOnlyList<string>> FindRepositoriesAsync(Digest manifest, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyList<string>>(
        async context => await context.Origins.AsNoTracking().Where(r => r.Image == manifest).Select(r => r.Registry + "/" + r.Repository).ToListAsync(cancellationToken),
        cancellationToken);

    public Task<IReadOnlyList<ImageReference>> FindNewestTagsAsync(Digest manifest, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyList<ImageReference>>(
        async context => [.. (await context.Tags.AsNoTracking()
            .Where(t => t.Image == manifest
                && !context.Tags.Any(o => o.Registry == t.Registry && o.Repository == t.Repository && o.Platform == t.Platform && o.Image != manifest && o.NotifiedAt > t.NotifiedAt))
            .Select(t => new { t.Registry, t.Repository, t.Tag }).Distinct()
            .ToListAsync(cancellationToken)).Select(t => ImageReference.Parse($"{t.Registry}/{t.Repository}:{t.Tag}").Value)],
        cancellationToken);

    public Task<IReadOnlyList<(Digest Manifest, Platform Platform)>> FindLastUsedAsync(string registry, string repository, int count, CancellationToken cancellationToken) =>
        access.RunAsync<IReadOnlyList<(Digest Manifest, Platform Platform)>>(
            async context => [.. (await context.Origins.AsNoTracking()
                .Where(o => o.Registry == registry && o.Repository == repository)
                .Join(context.Images, o => o.Image, i => i.Digest, (o, i) => new { i.Digest, i.Platform, i.IndexedAt, i.UsedAt })
                .Where(i => i.UsedAt > i.IndexedAt)
                .OrderByDescending(i => i.UsedAt).ThenBy(i => i.Digest).Take(count)
                .ToListAsync(cancellationToken)).Select(i => (i.Digest, Platform.Parse(i.Platform).Value))],
            cancellationToken);
}
