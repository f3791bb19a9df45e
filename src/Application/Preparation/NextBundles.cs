using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Delta;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Application.Preparation;

/// <summary>
/// Says which bundles will be asked for when an image has got a new version: those for the workers that have an earlier one. As long as no request has told what workers have, those
/// for the versions of the repository that were wanted last.
/// </summary>
public sealed class NextBundles(WorkerVersions versions, ICatalogKeeping catalog, IImageQueries queries)
{
    /// <summary>Images without a tag are looked up one by one. Arbitrary: the versions wanted last are among the images wanted last.</summary>
    private const int MaxLookups = 100;

    /// <param name="image">As it was notified; workers ask for it by this name.</param>
    /// <param name="count">At most so many.</param>
    /// <param name="cancellationToken">Stops asking the catalog.</param>
    public async Task<IReadOnlyList<GetDeltaQuery>> FindAsync(ImageReference image, int count, CancellationToken cancellationToken)
    {
        IReadOnlyDictionary<Platform, NamedImage> platforms = image.Digest is { } digest
            ? await queries.FindByDigestAsync(digest, cancellationToken)
            : await queries.FindByTagAsync(image, cancellationToken);
        IReadOnlyList<WorkerVersions.Holding> holdings = versions.MostCommon(image.Name, count);
        if (holdings.Count == 0)
        {
            holdings = await LastWantedAsync(image, platforms, count, cancellationToken);
        }

        return
        [
            .. holdings.Where(h => h.Platform.Match(platforms) is { } next && !h.Images.Any(i => i.Digest == next.Manifest))
                .Select(h => new GetDeltaQuery([image], h.Platform, h.Images, Patches: h.Patches) { IsAhead = true }),
        ];
    }

    private async Task<IReadOnlyList<WorkerVersions.Holding>> LastWantedAsync(
        ImageReference image, IReadOnlyDictionary<Platform, NamedImage> platforms, int count, CancellationToken cancellationToken)
    {
        List<WorkerVersions.Holding> holdings = [];
        IEnumerable<CatalogImage> candidates = (await catalog.ListAsync(cancellationToken))
            .Where(i => platforms.TryGetValue(i.Platform, out NamedImage? next) && next.Manifest != i.Digest)
            .OrderByDescending(i => i.UsedAt).Take(MaxLookups);
        foreach (CatalogImage candidate in candidates)
        {
            if (holdings.Count < count && (await queries.FindRepositoriesAsync(candidate.Digest, cancellationToken)).Contains(image.Name))
            {
                holdings.Add(new WorkerVersions.Holding([image.WithDigest(candidate.Digest)], candidate.Platform, Patches: true));
            }
        }

        return holdings;
    }
}
