using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Infrastructure.Pacing;

/// <summary>Hands background work slower blobs; everybody else gets what the registry gives.</summary>
internal sealed class PacedTransports(IImageTransports inner, BackgroundPace pace, TimeProvider time) : IImageTransports
{
    public async Task<IImageSource> OpenSourceAsync(string location, RegistryAccess access, CancellationToken cancellationToken) => Wrap(await inner.OpenSourceAsync(location, access, cancellationToken));

    public IImageSource OpenSource(ImageReference reference, RegistryAccess access) => Wrap(inner.OpenSource(reference, access));

    public IImageDestination OpenDestination(ImageReference reference, RegistryAccess access) => inner.OpenDestination(reference, access);

    private IImageSource Wrap(IImageSource source) => BackgroundPace.IsBackground ? new Source(source, pace, time) : source;

    private sealed class Source(IImageSource inner, BackgroundPace pace, TimeProvider time) : IImageSource
    {
        public string DisplayName => inner.DisplayName;

        public Task<ManifestBlob> ResolveAsync(CancellationToken cancellationToken) => inner.ResolveAsync(cancellationToken);

        public Task<ManifestBlob> GetManifestAsync(Descriptor descriptor, CancellationToken cancellationToken) => inner.GetManifestAsync(descriptor, cancellationToken);

        public async Task<Stream> OpenBlobAsync(Descriptor descriptor, CancellationToken cancellationToken) =>
            new PacedStream(await inner.OpenBlobAsync(descriptor, cancellationToken), pace, time);

        public Task<Stream> OpenBlobRangeAsync(Descriptor descriptor, long offset, long length, CancellationToken cancellationToken) =>
            inner.OpenBlobRangeAsync(descriptor, offset, length, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
