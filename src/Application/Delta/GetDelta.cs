using FluentValidation;
using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>Plans the bundle that takes a worker which has <paramref name="From"/> to <paramref name="To"/>. Reads no content.</summary>
/// <param name="To">Images wanted, in the order the bundle names them.</param>
/// <param name="From">Images that the worker has completely, each with the digest of its manifest or index.</param>
/// <param name="Layers">Only the tree that so many of the lowest layers of the one wanted image give; null for all.</param>
/// <param name="Patches">Changed contents and filesystem images may be told as what differs from those of <paramref name="From"/>.</param>
public sealed record GetDeltaQuery(IReadOnlyList<ImageReference> To, Platform Platform, IReadOnlyList<ImageReference> From, int? Layers = null, bool Patches = false) : IRequest<Result<DeltaBundle>>
{
    /// <summary>
    /// Repositories that whoever asks may read. A digest is no secret, so an image named by one is given, or built upon, only if it was notified in one of them: what is left out
    /// for a base, and what is patched from it, would tell about its content.
    /// </summary>
    public RepositoryPatterns Readable { get; init; } = RepositoryPatterns.All;

    /// <summary>Nobody has asked yet, so that it says nothing about what is in use.</summary>
    public bool IsAhead { get; init; }
}

/// <summary>A wanted image.</summary>
public sealed record DeltaImage(ImageReference Reference, Digest Manifest, Digest Filesystem);

/// <summary>A bundle that has not been written yet.</summary>
/// <param name="Identity">64 hex digits that stand for every byte of the bundle.</param>
/// <param name="Bases">Manifests of the images that the worker has and something is patched from.</param>
/// <param name="Units">The images' parts of the header, one per image.</param>
public sealed record DeltaBundle(string Identity, IReadOnlyList<DeltaImage> Images, IReadOnlyList<Digest> Bases, IReadOnlyList<ImageUnits> Units, DeltaPlan Plan)
{
    /// <summary>Manifests of all images without which nobody can ask for this bundle.</summary>
    public IReadOnlyList<Digest> Manifests => [.. Images.Select(i => i.Manifest), .. Bases];

    /// <summary>Contents that have to be read to write it, in the order of their use: a patch's base before what is made from it.</summary>
    public IEnumerable<ContentRef> Reads
    {
        get
        {
            int patch = 0;
            for (int position = 0; position < Plan.Contents.Count; position++)
            {
                if (patch < Plan.Patches.Count && Plan.Patches[patch].Position == position)
                {
                    yield return Plan.Patches[patch++].Base;
                }

                yield return Plan.Contents[position].Content;
            }
        }
    }
}

internal sealed class GetDeltaValidator : AbstractValidator<GetDeltaQuery>
{
    /// <summary>Containers that start together are few. Arbitrary; bounds the work of one request.</summary>
    private const int MaxTo = 16;

    /// <summary>A worker need not name all it has: the versions nearest to what it wants hold nearly everything. Arbitrary; bounds the work of one request.</summary>
    private const int MaxFrom = 64;

    public GetDeltaValidator()
    {
        RuleFor(q => q.To.Count).InclusiveBetween(1, MaxTo).WithErrorCode("Delta.ToCount").WithMessage($"name 1 to {MaxTo} images to deliver with 'to'");
        RuleFor(q => q.From.Count).LessThanOrEqualTo(MaxFrom).WithErrorCode("Delta.FromCount").WithMessage($"name at most {MaxFrom} images with 'from'");
        RuleForEach(q => q.From).Must(f => f.Digest is not null).WithErrorCode("Delta.FromWithoutDigest")
            .WithMessage((_, from) => $"'from' must say exactly what the worker has: write {from}@sha256:… (the digest of its manifest or index)");
        RuleFor(q => q.Layers).GreaterThanOrEqualTo(1).WithErrorCode("Delta.LayersOutOfRange").WithMessage("'layers' says how many of the lowest layers are wanted: at least 1");
        RuleFor(q => q.To.Count).Equal(1).When(q => q.Layers is not null).WithErrorCode("Delta.LayersOfMany").WithMessage("'layers' goes with one 'to' only");
    }
}

/// <summary>1. find the images by name or digest; 2. take what planning needs from memory or the catalog; 3. plan, and find what can be patched. Contents that are not here are no obstacle: whoever writes the bundle fetches them.</summary>
internal sealed class GetDeltaHandler(KnownNames names, ImageShelf shelf, PlannedDeltas planned, ImageUse use) : IRequestHandler<GetDeltaQuery, Result<DeltaBundle>>
{
    public async Task<Result<DeltaBundle>> Handle(GetDeltaQuery request, CancellationToken cancellationToken)
    {
        List<Task<ShelvedImage>> wantedLoads = [];
        List<IndexedIndex?> indexes = [];
        foreach (ImageReference to in request.To)
        {
            // 1.
            IReadOnlyDictionary<Platform, NamedImage> platforms = await names.FindAsync(to, cancellationToken);
            if (request.Platform.Match(platforms) is not { } named || (to.Digest is not null && !await names.IsReadableAsync(named.Manifest, request.Readable, cancellationToken)))
            {
                return DeltaErrors.NotIndexed(to, request.Platform, request.Readable.IsAll || to.Digest is null ? platforms.Keys : []);
            }

            // 2. All at once: what is not in memory takes a core for a while.
            wantedLoads.Add(shelf.GetAsync(named.Manifest, named.Order, request.Layers, cancellationToken));
            indexes.Add(named.Index is { } digest ? await names.FindIndexAsync(digest, cancellationToken) : null);
        }

        List<Task<ShelvedImage>> haveLoads = [];
        List<ImageReference> unknown = [];
        foreach (ImageReference from in request.From)
        {
            IReadOnlyDictionary<Platform, NamedImage> platforms = await names.FindAsync(from, cancellationToken);

            // A manifest digest says which image it is; its platform is the worker's business.
            NamedImage? named = platforms.Values.FirstOrDefault(p => p.Manifest == from.Digest) ?? request.Platform.Match(platforms);
            if (named is null || !await names.IsReadableAsync(named.Manifest, request.Readable, cancellationToken))
            {
                unknown.Add(from);
                continue;
            }

            haveLoads.Add(shelf.GetAsync(named.Manifest, named.Order, layers: null, cancellationToken));
        }

        if (unknown.Count > 0)
        {
            return DeltaErrors.BaseUnknown(unknown);
        }

        ShelvedImage[] wanted = await Task.WhenAll(wantedLoads);
        ShelvedImage[] have = await Task.WhenAll(haveLoads);
        if (!request.IsAhead)
        {
            use.Note([.. wanted, .. have]);
        }

        // 3.
        return await planned.GetAsync(new DeltaTask(request.To, wanted, indexes, have, request.Patches), cancellationToken);
    }
}
