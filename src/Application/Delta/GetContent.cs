using FluentValidation;
using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>Finds one content that a worker cannot wait for. Reads no content.</summary>
/// <param name="Content">Which one.</param>
/// <param name="Images">Images that it may belong to: a digest is no secret, so it takes an image that whoever asks may read.</param>
/// <param name="Layers">The tree of so many of the lowest layers of the one image; null for all.</param>
public sealed record GetContentQuery(Digest Content, IReadOnlyList<ImageReference> Images, Platform Platform, int? Layers = null) : IRequest<Result<ImageContent>>
{
    /// <inheritdoc cref="GetDeltaQuery.Readable"/>
    public RepositoryPatterns Readable { get; init; } = RepositoryPatterns.All;
}

/// <summary>A content, and the manifest of an image that has it.</summary>
public sealed record ImageContent(ContentRef Content, Digest Manifest);

internal sealed class GetContentValidator : AbstractValidator<GetContentQuery>
{
    /// <summary>As many as a bundle may bring.</summary>
    private const int MaxImages = 16;

    public GetContentValidator() =>
        RuleFor(q => q.Images.Count).InclusiveBetween(1, MaxImages).WithErrorCode("Content.ImageCount").WithMessage($"name with 'to' the image that has the content, or up to {MaxImages}");
}

internal sealed class GetContentHandler(KnownNames names, ImageShelf shelf) : IRequestHandler<GetContentQuery, Result<ImageContent>>
{
    public async Task<Result<ImageContent>> Handle(GetContentQuery request, CancellationToken cancellationToken)
    {
        foreach (ImageReference reference in request.Images)
        {
            IReadOnlyDictionary<Platform, NamedImage> platforms = await names.FindAsync(reference, cancellationToken);
            if (request.Platform.Match(platforms) is not { } named || (reference.Digest is not null && !await names.IsReadableAsync(named.Manifest, request.Readable, cancellationToken)))
            {
                return DeltaErrors.NotIndexed(reference, request.Platform, request.Readable.IsAll || reference.Digest is null ? platforms.Keys : []);
            }

            ShelvedImage image = await shelf.GetAsync(named.Manifest, named.Order, request.Layers, cancellationToken);
            foreach (ContentRef content in image.Ordered.Contents)
            {
                if (content.Digest == request.Content)
                {
                    return new ImageContent(content, named.Manifest);
                }
            }
        }

        return DeltaErrors.ContentUnknown(request.Content, request.Images);
    }
}
