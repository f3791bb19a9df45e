using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>
/// What a bundle says about one image before any file content: everything a worker needs to make the image known to containerd and to mount it. All bytes are verbatim,
/// so that every digest can be checked.
/// </summary>
public sealed record BundleImage
{
    /// <summary>The name the image was asked for by (canonical reference); null if it was asked for by digest alone.</summary>
    public string? Reference { get; init; }

    /// <summary>The index that <see cref="Reference"/> stands for, if it is one; null (or empty) if it stands for the manifest itself.</summary>
    public ReadOnlyMemory<byte>? Index { get; init; }

    /// <summary>Media type of <see cref="Index"/>; null exactly if that is.</summary>
    public string? IndexMediaType { get; init; }

    public required ReadOnlyMemory<byte> Manifest { get; init; }

    public required string ManifestMediaType { get; init; }

    public required ReadOnlyMemory<byte> Config { get; init; }

    /// <summary>The merged tree (docs/formats/filesystem-image.md). It names every content, which is why the bundle never does.</summary>
    public required ReadOnlyMemory<byte> FilesystemImage { get; init; }

    /// <summary>sha256 of <see cref="FilesystemImage"/>.</summary>
    public required Digest FilesystemDigest { get; init; }
}
