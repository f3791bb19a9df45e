using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Infrastructure.Persistence;

internal sealed class CatalogKeeping(CatalogAccess access, TimeProvider time) : ICatalogKeeping
{
    public Task<IReadOnlyList<CatalogImage>> ListAsync(CancellationToken cancellationToken) => access.RunAsync(context => ListAsync(context, only: null, cancellationToken), cancellationToken);

    public Task<CatalogImageDetails?> ShowAsync(Digest manifest, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            CatalogImage? image = (await ListAsync(context, manifest, cancellationToken)).FirstOrDefault();
            if (image is null)
            {
                return null;
            }

            Digest filesystem = await context.Images.Where(i => i.Digest == manifest).Select(i => i.FilesystemDigest).SingleAsync(cancellationToken);
            List<CatalogLayer> layers = await context.ImageLayers.Where(l => l.Image == manifest)
                .Join(context.Layers, l => l.Layer, r => r.Digest, (l, r) => new { l.Position, r.Digest, r.Size, r.IsEStargz, HasMembers = r.Members != null })
                .OrderBy(l => l.Position)
                .Select(l => new CatalogLayer(l.Digest, l.Size, l.IsEStargz, l.HasMembers))
                .ToListAsync(cancellationToken);
            List<ImageOrigin> origins = await context.Origins.Where(o => o.Image == manifest)
                .OrderByDescending(o => o.NotifiedAt).Select(o => new ImageOrigin(o.Registry, o.Repository, o.Insecure)).ToListAsync(cancellationToken);
            return new CatalogImageDetails(image, filesystem, layers, origins);
        },
        cancellationToken);

    public Task<IReadOnlyList<Digest>> ListDigestsAsync(CancellationToken cancellationToken) => access.RunAsync<IReadOnlyList<Digest>>(
        async context => await context.Images.Select(i => i.Digest).ToListAsync(cancellationToken), cancellationToken);

    public Task<CatalogCounts> CountAsync(CancellationToken cancellationToken) => access.RunAsync(
        async context => new CatalogCounts(
            await context.Tags.Select(t => new { t.Registry, t.Repository, t.Tag }).Distinct().LongCountAsync(cancellationToken),
            await context.Images.LongCountAsync(cancellationToken),
            await context.Layers.LongCountAsync(cancellationToken),
            await context.Indexes.LongCountAsync(cancellationToken)),
        cancellationToken);

    public Task TouchAsync(IReadOnlyCollection<Digest> manifests, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            DateTimeOffset now = time.GetUtcNow();
            return await context.Images.Where(i => manifests.Contains(i.Digest)).ExecuteUpdateAsync(set => set.SetProperty(i => i.UsedAt, now), cancellationToken);
        },
        cancellationToken);

    public Task<CatalogRemoval> DeleteTagAsync(ImageReference reference, CancellationToken cancellationToken) => RemoveAsync(
        async context =>
        {
            (string registry, string repository, string? tag) = (reference.Registry, reference.Repository, reference.Tag);
            IQueryable<TagRow> tags = context.Tags.Where(t => t.Registry == registry && t.Repository == repository && t.Tag == tag);

            // Nobody can ask by this name from now on: the grace period begins.
            DateTimeOffset now = time.GetUtcNow();
            await context.Images.Where(i => tags.Any(t => t.Image == i.Digest)).ExecuteUpdateAsync(set => set.SetProperty(i => i.UsedAt, now), cancellationToken);
            return new CatalogRemoval(await tags.ExecuteDeleteAsync(cancellationToken) > 0 ? 1 : 0, 0, 0, 0);
        },
        cancellationToken);

    public Task<CatalogRemoval> DeleteDigestAsync(Digest manifestOrIndex, CancellationToken cancellationToken) => RemoveAsync(
        async context =>
        {
            int tags = await context.Tags.Where(t => t.Image == manifestOrIndex || t.Index == manifestOrIndex).Select(t => new { t.Registry, t.Repository, t.Tag }).Distinct().CountAsync(cancellationToken);
            await context.Tags.Where(t => t.Image == manifestOrIndex || t.Index == manifestOrIndex).ExecuteDeleteAsync(cancellationToken);
            await context.Origins.Where(o => context.IndexImages.Any(m => m.Index == manifestOrIndex && m.Image == o.Image))
                .ExecuteUpdateAsync(set => set.SetProperty(o => o.IsRoot, false), cancellationToken);
            int indexes = await context.Indexes.Where(i => i.Digest == manifestOrIndex).ExecuteDeleteAsync(cancellationToken);
            int images = await context.Images.Where(i => i.Digest == manifestOrIndex).ExecuteDeleteAsync(cancellationToken);
            return new CatalogRemoval(tags, images, 0, indexes);
        },
        cancellationToken);

    public Task<CatalogRemoval> CollectAsync(DateTimeOffset unusedSince, CancellationToken cancellationToken) => RemoveAsync(
        async context =>
        {
            IReadOnlyList<Digest> unreachable = (await ReadGraphAsync(context, cancellationToken)).Unreachable(unusedSince);
            int images = 0;
            foreach (Digest[] some in unreachable.Chunk(200))
            {
                images += await context.Images.Where(i => some.Contains(i.Digest)).ExecuteDeleteAsync(cancellationToken);
            }

            int layers = await context.Layers.Where(l => l.IndexedAt < unusedSince && !context.ImageLayers.Any(i => i.Layer == l.Digest)).ExecuteDeleteAsync(cancellationToken);
            int indexes = await context.Indexes
                .Where(i => !context.IndexImages.Any(m => m.Index == i.Digest) && !context.Tags.Any(t => t.Index == i.Digest))
                .ExecuteDeleteAsync(cancellationToken);
            return new CatalogRemoval(0, images, layers, indexes);
        },
        cancellationToken);

    private static async Task<CatalogGraph> ReadGraphAsync(CatalogContext context, CancellationToken cancellationToken) => new(
        await context.Images.Select(i => new CollectableImage(i.Digest, i.UsedAt, context.Origins.Any(o => o.Image == i.Digest && o.IsRoot))).ToListAsync(cancellationToken),
        (await context.Tags.Select(t => t.Image).Distinct().ToListAsync(cancellationToken)).ToHashSet(),
        (await context.Tags.Where(t => t.Index != null).Select(t => t.Index!.Value).Distinct().ToListAsync(cancellationToken)).ToHashSet(),
        [.. (await context.IndexImages.Select(m => new { m.Index, m.Image }).ToListAsync(cancellationToken)).Select(m => (m.Index, m.Image))]);

    private static async Task<IReadOnlyList<CatalogImage>> ListAsync(CatalogContext context, Digest? only, CancellationToken cancellationToken)
    {
        // Blobs are left where they are: a list must not read gigabytes.
        var images = await context.Images.AsNoTracking().Where(i => only == null || i.Digest == only)
            .Select(i => new
            {
                i.Digest,
                i.Platform,
                i.FileCount,
                i.ContentBytes,
                i.IndexedAt,
                i.UsedAt,
                Layers = i.Layers.Count,
                Size = i.Layers.Join(context.Layers, l => l.Layer, r => r.Digest, (l, r) => r.Size).Sum(),
            })
            .ToListAsync(cancellationToken);
        ILookup<Digest, string> names = (await context.Tags.AsNoTracking().Where(t => only == null || t.Image == only)
            .Select(t => new { t.Image, t.Registry, t.Repository, t.Tag }).ToListAsync(cancellationToken)).ToLookup(t => t.Image, t => $"{t.Registry}/{t.Repository}:{t.Tag}");
        return [.. images
            .Select(i => new CatalogImage(
                i.Digest, Platform.Parse(i.Platform).Value, [.. names[i.Digest].Distinct().Order(StringComparer.Ordinal)], i.Layers, i.Size, i.FileCount, i.ContentBytes, i.IndexedAt, i.UsedAt))
            .OrderBy(i => i.Names.Count == 0).ThenBy(i => i.Names.Count > 0 ? i.Names[0] : "", StringComparer.Ordinal).ThenBy(i => i.Platform.ToString(), StringComparer.Ordinal).ThenBy(i => i.Digest)];
    }

    private Task<CatalogRemoval> RemoveAsync(Func<CatalogContext, Task<CatalogRemoval>> remove, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            await using IDbContextTransaction transaction = await context.Database.BeginTransactionAsync(cancellationToken);
            await access.LockAsync(context, alone: true, cancellationToken);
            CatalogRemoval removed = await remove(context);
            await transaction.CommitAsync(cancellationToken);
            return removed;
        },
        cancellationToken);
}
