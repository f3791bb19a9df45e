using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.Sources;

namespace Starlight.Infrastructure.Registry;

/// <summary>An image in a registry, to write to.</summary>
internal sealed class RegistryDestination(RegistryRepository repository, ImageReference reference) : IImageDestination
{
    public string DisplayName => reference.ToString();

    public Task<bool> HasBlobAsync(Descriptor descriptor, CancellationToken cancellationToken) => repository.HasBlobAsync(descriptor.Digest, cancellationToken);

    public async Task<bool> TryMountBlobAsync(Descriptor descriptor, string fromRepository, CancellationToken cancellationToken)
    {
        try
        {
            return await repository.MountBlobAsync(descriptor.Digest, fromRepository, cancellationToken);
        }
        catch (FailureException e) when (e.Error.Kind is ErrorKind.Unauthenticated or ErrorKind.PermissionDenied)
        {
            // A token for both repositories may be refused because of the other one; whether this one may be written shows when the blob is pushed.
            return false;
        }
    }

    public Task PushBlobAsync(Descriptor descriptor, Func<CancellationToken, Task<Stream>> open, IProgress<long>? progress, CancellationToken cancellationToken) =>
        new BlobUpload(repository, descriptor, open, progress).RunAsync(cancellationToken);

    public Task PushManifestAsync(ManifestBlob manifest, string? tag, CancellationToken cancellationToken) => manifest.Raw.Length <= ManifestDocument.MaxSize
        ? repository.PutManifestAsync(tag ?? manifest.Digest.ToString(), manifest, cancellationToken)
        : throw new FailureException(new Error(
            "Registry.ManifestTooLarge", $"the manifest for {DisplayName} has {manifest.Raw.Length} bytes; registries take {ManifestDocument.MaxSize} at most", ErrorKind.ResourceExhausted));

    public async Task<ManifestBlob?> TryResolveAsync(CancellationToken cancellationToken)
    {
        (bool exists, Digest? digest) = await repository.HeadManifestAsync(reference.TagOrDigest, cancellationToken);
        return exists ? await repository.GetManifestAsync(digest?.ToString() ?? reference.TagOrDigest, cancellationToken) : null;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
