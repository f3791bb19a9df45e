using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Delta;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Application.Preparation;

/// <summary>
/// Says which bundles will be asked for when an image has got a new version, or the new version another order: those for the workers that have an earlier one. As long as no request has told what workers have, those
/// for the versions of the repository that were wanted last.
/// </summary>
public sealed class NextBundles(WorkerVersions versions, IImageQueries queries)
{
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
            holdings = [.. (await queries.FindLastUsedAsync(image.Registry, image.Repository, count, cancellationToken))
                .Select(i => new WorkerVersions.Holding([image.WithDigest(i.Manifest)], i.Platform, Patches: true))];
        }

        return
        [
            .. holdings.Where(h => h.Platform.Match(platforms) is { } next && !h.Images.Any(i => i.Digest == next.Manifest))
                .Select(h => new GetDeltaQuery([image], h.Platform, h.Images, Patches: h.Patches) { IsAhead = true }),
        ];
    }
}
