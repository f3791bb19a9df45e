namespace Starlight.Domain.Images;

/// <summary>Annotations and labels of Starlight and of the eStargz format that it reads and writes.</summary>
public static class StarlightAnnotations
{
    /// <summary>
    /// Manifest: sha256 of the image's filesystem image (docs/formats/filesystem-image.md), a Merkle root of every byte of the container's tree. Layer, but for the
    /// topmost: the same of the tree that this layer and those below it give, which another image may be built on.
    /// </summary>
    public const string FilesystemDigest = "containerd.io/snapshot/remote/starlight/filesystem.digest";

    /// <summary>Layer: digest of the layer blob that this one was converted from, so that a later conversion can reuse it.</summary>
    public const string SourceDigest = "containerd.io/snapshot/remote/starlight/source.digest";

    /// <summary>Layer: sha256 of the uncompressed TOC JSON (stargz-snapshotter docs/estargz.md).</summary>
    public const string TocDigest = "containerd.io/snapshot/stargz/toc.digest";

    /// <summary>Layer: length of the uncompressed tar in bytes, for podman's store.</summary>
    public const string UncompressedSize = "io.containers.estargz.uncompressed-size";
}
