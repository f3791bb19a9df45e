using System.Buffers;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;

namespace Starlight.Application.Notify;

/// <summary>
/// What the catalog knows already is not read again, so a notify has to show otherwise that its repository has it: the catalog records the repository as one of the image's, and whoever
/// may read that one gets the image (ADR 0022). A manifest can name layers and configurations that its author cannot read.
/// </summary>
internal sealed class ReadableImages(IImageCatalog catalog)
{
    /// <summary>Fails as the source does (NotFound, PermissionDenied, …) unless the known image can be read there, or was notified from there before.</summary>
    public async Task RequireAsync(Func<IImageSource> open, ImageOrigin origin, IndexedImage known, CancellationToken cancellationToken)
    {
        if ((await catalog.FindOriginsAsync(known.Digest, cancellationToken)).Any(o => (o.Registry, o.Repository) == (origin.Registry, origin.Repository)))
        {
            return;
        }

        ImageManifest manifest = ImageManifest.Parse(known.Manifest, known.MediaType).Value;
        await using (IImageSource source = open())
        {
            await source.GetManifestAsync(new Descriptor(known.MediaType, known.Digest, known.Manifest.Length), cancellationToken);
            await ReadAsync(source, manifest.Config, whole: true, cancellationToken);
        }

        await RequireAsync(open, origin, manifest.Layers, cancellationToken);
    }

    /// <summary>
    /// The same for layers of an image that is not known: 1. those that were read in the repository are there; 2. for others of its registry the registry's word is enough, because it
    /// keeps its repositories apart; 3. whatever else must be read, because only the bytes show that a registry has them.
    /// </summary>
    public async Task RequireAsync(Func<IImageSource> open, ImageOrigin origin, IReadOnlyList<Descriptor> layers, CancellationToken cancellationToken)
    {
        // 1.
        HashSet<Digest> digests = [.. layers.Select(l => l.Digest)];
        digests.ExceptWith(await catalog.FindLayersFromAsync(digests, origin.Registry, origin.Repository, cancellationToken));
        if (digests.Count == 0)
        {
            return;
        }

        IReadOnlySet<Digest> ofRegistry = await catalog.FindLayersFromAsync(digests, origin.Registry, repository: null, cancellationToken);
        await using IImageSource source = open();
        foreach (Descriptor layer in layers.Where(l => digests.Remove(l.Digest)))
        {
            // 2. and 3.
            await ReadAsync(source, layer, whole: !ofRegistry.Contains(layer.Digest), cancellationToken);
        }
    }

    private static async Task ReadAsync(IImageSource source, Descriptor blob, bool whole, CancellationToken cancellationToken)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(1 << 17);
        try
        {
            await using Stream stream = await source.OpenBlobAsync(blob, cancellationToken);
            while (await stream.ReadAsync(buffer, cancellationToken) > 0 && whole)
            {
                // The source compares the digest at the end.
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
