using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.OnDemand;

/// <summary>Hands everything on; what stands around the worker's library overrides what it adds to.</summary>
internal abstract class ProvidedImagesDecorator(IProvidedImages inner) : IProvidedImages
{
    public virtual Task<bool> ProvidesAsync(RemoteLayerRequest request, CancellationToken cancellationToken) => inner.ProvidesAsync(request, cancellationToken);

    public virtual Task<Result<RootFilesystemLayers>> AttachAsync(string chainId, string snapshotKey, bool inOneDirectory, CancellationToken cancellationToken) =>
        inner.AttachAsync(chainId, snapshotKey, inOneDirectory, cancellationToken);

    public void Detach(string snapshotKey) => inner.Detach(snapshotKey);

    public Task ReleaseAsync(string chainId, CancellationToken cancellationToken) => inner.ReleaseAsync(chainId, cancellationToken);

    public IReadOnlyList<string> ListQuiet(TimeSpan quiet) => inner.ListQuiet(quiet);

    public Task<(long Size, long Inodes)> UsageAsync(string chainId, CancellationToken cancellationToken) => inner.UsageAsync(chainId, cancellationToken);
}
