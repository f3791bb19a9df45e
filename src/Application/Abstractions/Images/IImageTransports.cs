using Starlight.Domain.References;

namespace Starlight.Application.Abstractions.Images;

/// <summary>How to talk to a registry.</summary>
/// <param name="Insecure">Plain HTTP allowed, and certificates not checked. Loopback hosts use plain HTTP without being told.</param>
public sealed record RegistryAccess(bool Insecure = false);

/// <summary>Opens sources and destinations by what users type. Nothing is sent until the first call on the result.</summary>
public interface IImageTransports
{
    /// <summary>
    /// <paramref name="location"/> is a registry reference, <c>oci:DIR[:TAG]</c>, or the path of a docker or OCI archive (<c>.tar</c>, <c>.tar.gz</c>, <c>.tgz</c>).
    /// Fails with InvalidInput or NotFound.
    /// </summary>
    Task<IImageSource> OpenSourceAsync(string location, RegistryAccess access, CancellationToken cancellationToken);

    IImageSource OpenSource(ImageReference reference, RegistryAccess access);

    IImageDestination OpenDestination(ImageReference reference, RegistryAccess access);
}
