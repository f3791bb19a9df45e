using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Convert;

/// <summary>
/// What the destination's tag holds now: layers that say which source layer they were made from. Whoever may write them there may as well write the tag, so they are
/// believed about their origin; what they contain is read and checked before they are used again.
/// </summary>
internal static class PreviousConversion
{
    /// <summary>Converted layers by the digest of their source layer. Empty if there is nothing, or nothing readable: reuse is not worth failing for.</summary>
    public static async Task<IReadOnlyDictionary<Digest, Descriptor>> ReadAsync(
        IImageTransports transports, IImageDestination destination, ConvertImageCommand command, CancellationToken cancellationToken)
    {
        Dictionary<Digest, Descriptor> layers = [];
        try
        {
            if (await destination.TryResolveAsync(cancellationToken) is { } top)
            {
                await using IImageSource there = transports.OpenSource(command.Destination, new RegistryAccess(command.InsecureDestination));
                await CollectAsync(there, top, layers, depth: 0, cancellationToken);
            }
        }
        catch (FailureException)
        {
            // if the destination is really out of order, the first push says so better
        }

        return layers;
    }

    private static async Task CollectAsync(IImageSource there, ManifestBlob blob, Dictionary<Digest, Descriptor> layers, int depth, CancellationToken cancellationToken)
    {
        if (MediaTypes.IsManifest(blob.MediaType))
        {
            foreach (Descriptor layer in ImageManifest.Parse(blob.Raw, blob.MediaType).Value.Layers)
            {
                if (Digest.TryParse(layer.Annotations.GetValueOrDefault(StarlightAnnotations.SourceDigest), out Digest source) && layer.Annotations.ContainsKey(StarlightAnnotations.TocDigest))
                {
                    layers[source] = layer;
                }
            }
        }
        else if (MediaTypes.IsIndex(blob.MediaType) && depth < ImageConversion.MaxDepth)
        {
            foreach (Descriptor entry in ImageIndex.Parse(blob.Raw, blob.MediaType).Value.Manifests.Where(m => !ImageDocuments.IsAttestation(m)))
            {
                await CollectAsync(there, await there.GetManifestAsync(entry, cancellationToken), layers, depth + 1, cancellationToken);
            }
        }
    }
}
