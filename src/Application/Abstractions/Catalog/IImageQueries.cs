using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>Lookups of the catalog's read side: which image a name or a digest stands for. Safe for concurrent use.</summary>
public interface IImageQueries
{
    /// <summary>Every platform that the tag of <paramref name="reference"/> was notified for.</summary>
    Task<IReadOnlyDictionary<Platform, Digest>> FindByTagAsync(ImageReference reference, CancellationToken cancellationToken);

    /// <summary>
    /// The platforms of an image named by the digest of its manifest or of an index that lists it. Empty if neither is known. Tags that
    /// moved on do not matter: an image stays known under its digests.
    /// </summary>
    Task<IReadOnlyDictionary<Platform, Digest>> FindByDigestAsync(Digest manifestOrIndex, CancellationToken cancellationToken);
}
