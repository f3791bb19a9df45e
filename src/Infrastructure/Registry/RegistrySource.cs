using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.Sources;

namespace Starlight.Infrastructure.Registry;

/// <summary>An image in a registry, to read from.</summary>
/// <param name="repository">Where it is.</param>
/// <param name="reference">Its name.</param>
/// <param name="onDamaged">Told when a blob turned out to be another one than was asked for, which is known at its end only.</param>
internal sealed class RegistrySource(RegistryRepository repository, ImageReference reference, Action? onDamaged = null) : IImageSource
{
    public string DisplayName => reference.ToString();

    public Task<ManifestBlob> ResolveAsync(CancellationToken cancellationToken) => repository.GetManifestAsync(reference.TagOrDigest, cancellationToken);

    public async Task<ManifestBlob> GetManifestAsync(Descriptor descriptor, CancellationToken cancellationToken)
    {
        ManifestBlob manifest = await repository.GetManifestAsync(descriptor.Digest.ToString(), cancellationToken);
        return manifest.Raw.Length == descriptor.Size
            ? manifest
            : throw new FailureException(RegistryErrors.ManifestMismatch(
                repository.Client.Registry, $"{reference.Name}@{descriptor.Digest}", $"it has {manifest.Raw.Length} bytes where its descriptor gives it {descriptor.Size}"));
    }

    public async Task<Stream> OpenBlobAsync(Descriptor descriptor, CancellationToken cancellationToken)
    {
        ResumingBlobStream bytes = await repository.GetBlobAsync(descriptor, 0, descriptor.Size, cancellationToken);
        return new VerifyingStream(bytes, descriptor, Damaged);

        Error Damaged(string detail)
        {
            onDamaged?.Invoke();
            return RegistryErrors.BlobMismatch(repository.Client.Registry, descriptor.Digest, detail);
        }
    }

    public async Task<Stream> OpenBlobRangeAsync(Descriptor descriptor, long offset, long length, CancellationToken cancellationToken)
    {
        BlobRange.Check(descriptor, offset, length);
        return await repository.GetBlobAsync(descriptor, offset, offset + length, cancellationToken);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
