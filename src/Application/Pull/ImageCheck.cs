using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Pull;

/// <summary>An image of a bundle whose documents all match the digests that name them.</summary>
internal sealed record CheckedImage(IncomingImage Incoming, ImageRegistration Registration, IReadOnlyList<Descriptor> Layers);

/// <summary>
/// The chain of trust of a pull: reference digest → index → manifest → configuration → diff IDs, and manifest annotation → filesystem image → every content's
/// sha256. A proxy that changes a byte anywhere is found out; only an image converted without the annotation rests on the proxy's word for its tree.
/// </summary>
internal static class ImageCheck
{
    /// <param name="reference">What was asked for.</param>
    /// <param name="platform">And for which platform.</param>
    /// <param name="image">What came.</param>
    /// <param name="layers">Only the tree of so many of the lowest layers was asked for; null for the image.</param>
    public static Result<CheckedImage> Check(ImageReference reference, Platform platform, BundleImage image, int? layers = null)
    {
        Result<ImageManifest> manifest = ImageManifest.Parse(image.Manifest, image.ManifestMediaType);
        if (!manifest.IsSuccess)
        {
            return manifest.Error;
        }

        Result<ImageConfig> config = ImageConfig.Parse(image.Config);
        if (!config.IsSuccess)
        {
            return config.Error;
        }

        ImageManifest m = manifest.Value;
        if (Digest.Of(image.Config.Span) != m.Config.Digest)
        {
            return Forged(reference, $"its configuration is not the {m.Config.Digest} that the manifest names");
        }

        if (config.Value.DiffIds.Count != m.Layers.Count)
        {
            return Forged(reference, $"its configuration lists {config.Value.DiffIds.Count} layers, its manifest {m.Layers.Count}");
        }

        if (config.Value.DiffIds.Count == 0)
        {
            return new Error("Image.NoLayers", $"{reference} has no layers: there is nothing to run", ErrorKind.InvalidInput);
        }

        if (config.Value.Platform is { IsUnknown: false } actual && (actual.Os != platform.Os || actual.Architecture != platform.Architecture))
        {
            return Forged(reference, $"it is for {actual}, not for {platform}");
        }

        if (layers > m.Layers.Count)
        {
            return Forged(reference, $"it has {m.Layers.Count} layers, not {layers} and more");
        }

        bool isWhole = layers is null || layers == m.Layers.Count;
        IReadOnlyDictionary<string, string> annotations = isWhole ? m.Annotations : m.Layers[layers!.Value - 1].Annotations;
        if (annotations.TryGetValue(StarlightAnnotations.FilesystemDigest, out string? annotated) && annotated != image.FilesystemDigest.ToString())
        {
            return Forged(reference, $"its filesystem image is not the {annotated} that the manifest names");
        }

        Descriptor manifestDescriptor = new(m.MediaType, m.Digest, image.Manifest.Length);
        Descriptor target = manifestDescriptor;
        if (image.Index is { } rawIndex)
        {
            Result<ImageIndex> index = ImageIndex.Parse(rawIndex, image.IndexMediaType);
            if (!index.IsSuccess)
            {
                return index.Error;
            }

            if (index.Value.Manifests.All(d => d.Digest != m.Digest))
            {
                return Forged(reference, $"its index does not list the manifest {m.Digest}");
            }

            target = new Descriptor(index.Value.MediaType, index.Value.Digest, rawIndex.Length);
        }

        if (reference.Digest is { } wanted && wanted != target.Digest)
        {
            if (wanted != m.Digest)
            {
                return Forged(reference, $"the proxy sent {target.Digest}");
            }

            target = manifestDescriptor;
        }

        IReadOnlyList<Digest> chainIds = config.Value.ChainIds();
        return new CheckedImage(
            new IncomingImage(reference, m.Digest, isWhole ? chainIds : [.. chainIds.Take(layers!.Value)], image.FilesystemDigest),
            new ImageRegistration(
                reference,
                target,
                target == manifestDescriptor ? null : image.Index,
                manifestDescriptor,
                image.Manifest,
                m.Config,
                image.Config,
                chainIds),
            m.Layers);
    }

    private static Error Forged(ImageReference reference, string why) =>
        new("Image.Mismatch", $"{reference} was refused: {why}", ErrorKind.DataCorrupt);
}
