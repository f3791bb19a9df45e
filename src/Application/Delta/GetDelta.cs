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
public sealed record GetDeltaQuery(IReadOnlyList<ImageReference> To, Platform Platform, IReadOnlyList<ImageReference> From, int? Layers = null) : IRequest<Result<DeltaBundle>>;

/// <summary>A wanted image.</summary>
public sealed record DeltaImage(ImageReference Reference, Digest Manifest, Digest Filesystem);

/// <summary>A bundle that has not been written yet.</summary>
/// <param name="Identity">64 hex digits that stand for every byte of the bundle.</param>
/// <param name="Units">The images' parts of the header, one per image.</param>
public sealed record DeltaBundle(string Identity, IReadOnlyList<DeltaImage> Images, IReadOnlyList<ReadOnlyMemory<byte>> Units, DeltaPlan Plan);

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

/// <summary>1. find the images by name or digest; 2. take what planning needs from memory or the catalog; 3. plan. Contents that are not here are no obstacle: whoever writes the bundle fetches them.</summary>
internal sealed class GetDeltaHandler(IImageQueries queries, ImageShelf shelf, IBundleFormat format) : IRequestHandler<GetDeltaQuery, Result<DeltaBundle>>
{
    public async Task<Result<DeltaBundle>> Handle(GetDeltaQuery request, CancellationToken cancellationToken)
    {
        List<DeltaImage> images = [];
        List<ReadOnlyMemory<byte>> units = [];
        List<OrderedImage> wanted = [];
        foreach (ImageReference to in request.To)
        {
            // 1.
            IReadOnlyDictionary<Platform, NamedImage> platforms = await FindAsync(to, cancellationToken);
            if (request.Platform.Match(platforms) is not { } named)
            {
                return DeltaErrors.NotIndexed(to, request.Platform, platforms.Keys);
            }

            // 2.
            ShelvedImage image = await shelf.GetAsync(named.Manifest, request.Layers, cancellationToken);
            wanted.Add(image.Ordered);
            IndexedIndex? index = named.Index is { } digest ? await queries.FindIndexAsync(digest, cancellationToken) : null;
            units.Add(format.NameUnit(image.Unit, to.ToString(), index));
            images.Add(new DeltaImage(to, named.Manifest, image.FilesystemDigest));
        }

        List<IReadOnlyList<ContentRef>> have = [];
        foreach (ImageReference from in request.From)
        {
            IReadOnlyDictionary<Platform, NamedImage> platforms = await queries.FindByDigestAsync(from.Digest!.Value, cancellationToken);

            // A manifest digest says which image it is; its platform is the worker's business.
            NamedImage? named = platforms.Values.FirstOrDefault(p => p.Manifest == from.Digest) ?? request.Platform.Match(platforms);
            if (named is null)
            {
                return DeltaErrors.BaseUnknown(from);
            }

            have.Add((await shelf.GetAsync(named.Manifest, layers: null, cancellationToken)).Ordered.Contents);
        }

        // 3.
        DeltaPlan plan = DeltaPlanner.Plan(wanted, have);

        return new DeltaBundle(format.Identity(units, plan), images, units, plan);
    }

    private Task<IReadOnlyDictionary<Platform, NamedImage>> FindAsync(ImageReference reference, CancellationToken cancellationToken) =>
        reference.Digest is { } digest ? queries.FindByDigestAsync(digest, cancellationToken) : queries.FindByTagAsync(reference, cancellationToken);
}
