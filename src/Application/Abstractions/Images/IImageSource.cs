using Starlight.Domain.Content;
using Starlight.Domain.Images;

namespace Starlight.Application.Abstractions.Images;

/// <summary>Raw bytes of a manifest or index with the media type it was served as.</summary>
public sealed record ManifestBlob(ReadOnlyMemory<byte> Raw, string MediaType)
{
    public Digest Digest { get; } = Digest.Of(Raw.Span);

    public Descriptor Descriptor => new(MediaType, Digest, Raw.Length);
}

/// <summary>
/// Where an image is read from: a repository of a registry, an OCI layout, an archive. Every byte handed out has been checked against its digest and size, a stream's
/// at its end (the read that would return 0 throws instead). Failures are <see cref="Starlight.Domain.SharedKernel.FailureException"/>s. Safe for concurrent use.
/// </summary>
public interface IImageSource : IAsyncDisposable
{
    /// <summary>How messages name this source, e.g. <c>127.0.0.1:5000/redis:7</c> or <c>oci:/images/redis:7</c>.</summary>
    string DisplayName { get; }

    /// <summary>The manifest or index that the source's tag or digest stands for. Fails with NotFound.</summary>
    Task<ManifestBlob> ResolveAsync(CancellationToken cancellationToken);

    /// <summary>A manifest or index by descriptor (as an index lists it).</summary>
    Task<ManifestBlob> GetManifestAsync(Descriptor descriptor, CancellationToken cancellationToken);

    /// <summary>A blob from its beginning. Resumes dropped connections by itself.</summary>
    Task<Stream> OpenBlobAsync(Descriptor descriptor, CancellationToken cancellationToken);

    /// <summary>
    /// Part of a blob. The caller verifies it (by content digest): a range cannot be checked against the blob's own digest.
    /// Fails with Unsupported if the source has no ranges.
    /// </summary>
    Task<Stream> OpenBlobRangeAsync(Descriptor descriptor, long offset, long length, CancellationToken cancellationToken);
}

/// <summary>Where an image is written to. Failures are <see cref="Starlight.Domain.SharedKernel.FailureException"/>s. Safe for concurrent use.</summary>
public interface IImageDestination : IAsyncDisposable
{
    string DisplayName { get; }

    Task<bool> HasBlobAsync(Descriptor descriptor, CancellationToken cancellationToken);

    /// <summary>
    /// Makes a blob of another repository of the same registry appear here without sending it.
    /// False if the registry would not (the caller then pushes).
    /// </summary>
    Task<bool> TryMountBlobAsync(Descriptor descriptor, string fromRepository, CancellationToken cancellationToken);

    /// <summary>Stores a blob unless it is there already. <paramref name="open"/> may be called again for a retry and must give the same bytes.</summary>
    /// <param name="progress">Receives bytes sent since the last call.</param>
    Task PushBlobAsync(Descriptor descriptor, Func<CancellationToken, Task<Stream>> open, IProgress<long>? progress, CancellationToken cancellationToken);

    /// <summary>Stores a manifest by its digest, or also under <paramref name="tag"/>.</summary>
    Task PushManifestAsync(ManifestBlob manifest, string? tag, CancellationToken cancellationToken);

    /// <summary>The manifest a tag stands for now, or null.</summary>
    Task<ManifestBlob?> TryResolveAsync(CancellationToken cancellationToken);
}
