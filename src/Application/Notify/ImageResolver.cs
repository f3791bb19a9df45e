using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Notify;

/// <summary>One image to be indexed. <paramref name="Known"/> or the pair of manifest and configuration is set.</summary>
internal sealed record ResolvedImage(Platform Platform, Digest Digest, IndexedImage? Known, ImageManifest? Manifest, ImageConfig? Config);

internal sealed record ResolvedReference(Digest Digest, IndexedIndex? Index, IReadOnlyList<ResolvedImage> Images, IReadOnlyList<string> Skipped);

/// <summary>
/// Finds out which images a reference stands for. An index also lists things that are no images (attestations, signatures, other artifacts): those
/// are left out, as are images for other systems than Linux, whose containers Starlight cannot start.
/// </summary>
internal sealed class ImageResolver(IImageCatalog catalog)
{
    /// <summary>Real configurations have a few KiB; the limit is containerd's for manifests (8 MiB) and keeps a hostile one out of memory.</summary>
    private const long MaxConfigSize = 8 << 20;

    /// <summary>BuildKit marks attestation manifests in an index with it (docs.docker.com, "attestation storage").</summary>
    private const string DockerReferenceType = "vnd.docker.reference.type";

    public async Task<ResolvedReference> ResolveAsync(IImageSource source, IReadOnlyList<Platform> wanted, CancellationToken cancellationToken)
    {
        ManifestBlob root = await source.ResolveAsync(cancellationToken);
        if (!MediaTypes.IsIndex(root.MediaType))
        {
            ResolvedImage single = await ResolveManifestAsync(source, root, platform: null, cancellationToken)
                ?? throw new FailureException(NotifyErrors.NotAnImage(source.DisplayName, "its configuration or layers are of other types"));
            return wanted.Count == 0 || wanted.Contains(single.Platform)
                ? new ResolvedReference(root.Digest, Index: null, [single], [])
                : throw new FailureException(NotifyErrors.PlatformMissing(source.DisplayName, wanted, [single.Platform.ToString()]));
        }

        ImageIndex index = ImageIndex.Parse(root.Raw, root.MediaType).Value;
        List<ResolvedImage> images = [];
        List<string> skipped = [];
        foreach (Descriptor entry in index.Manifests)
        {
            await AddEntryAsync(source, entry, wanted, images, skipped, cancellationToken);
        }

        List<Platform> missing = [.. wanted.Except(images.Select(i => i.Platform))];
        if (missing.Count > 0 || images.Count == 0)
        {
            IEnumerable<string> present = index.Manifests.Where(m => NoImage(m) is null && m.Platform is not null).Select(m => m.Platform!.ToString()).Distinct();
            throw new FailureException(missing.Count > 0
                ? NotifyErrors.PlatformMissing(source.DisplayName, missing, present)
                : NotifyErrors.NotAnImage(source.DisplayName, "its index lists no image for Linux"));
        }

        return new ResolvedReference(root.Digest, new IndexedIndex(root.Digest, root.MediaType, root.Raw), images, skipped);
    }

    private static string? NoImage(Descriptor entry)
    {
        if (!MediaTypes.IsManifest(entry.MediaType))
        {
            return $"its media type is {entry.MediaType}";
        }

        if (entry.ArtifactType is not null || entry.Annotations.ContainsKey(DockerReferenceType))
        {
            return "it is an artifact";
        }

        return entry.Platform switch
        {
            { IsUnknown: true } => "its platform is unknown",
            { Os: not "linux" } platform => $"{platform} is not Linux",
            _ => null,
        };
    }

    private async Task AddEntryAsync(
        IImageSource source, Descriptor entry, IReadOnlyList<Platform> wanted, List<ResolvedImage> images, List<string> skipped, CancellationToken cancellationToken)
    {
        string? reason = NoImage(entry);
        if (reason is null && wanted.Count > 0 && entry.Platform is not null && !wanted.Contains(entry.Platform))
        {
            return;
        }

        ResolvedImage? image = null;
        if (reason is null)
        {
            image = entry.Platform is not null && await catalog.FindImageAsync(entry.Digest, cancellationToken) is { } known
                ? new ResolvedImage(entry.Platform, entry.Digest, known, Manifest: null, Config: null)
                : await ResolveManifestAsync(source, await source.GetManifestAsync(entry, cancellationToken), entry.Platform, cancellationToken);
            reason = image switch
            {
                null => "its configuration or layers are of other types",
                { Platform.Os: not "linux" } => $"{image.Platform} is not Linux",
                _ when images.Exists(i => i.Platform == image.Platform) => $"an earlier entry is for {image.Platform}, too",
                _ => null,
            };
        }

        if (reason is not null)
        {
            skipped.Add($"{entry.Digest}: {reason}");
        }
        else if (wanted.Count == 0 || wanted.Contains(image!.Platform))
        {
            images.Add(image!);
        }
    }

    /// <summary>Null if the manifest is not an image's.</summary>
    private async Task<ResolvedImage?> ResolveManifestAsync(IImageSource source, ManifestBlob blob, Platform? platform, CancellationToken cancellationToken)
    {
        if (await catalog.FindImageAsync(blob.Digest, cancellationToken) is { } known)
        {
            return new ResolvedImage(platform ?? known.Platform, blob.Digest, known, Manifest: null, Config: null);
        }

        ImageManifest manifest = ImageManifest.Parse(blob.Raw, blob.MediaType).Value;
        if (!manifest.IsImage)
        {
            return null;
        }

        ImageConfig config = ImageConfig.Parse(await ReadConfigAsync(source, manifest.Config, cancellationToken)).Value;
        return new ResolvedImage(platform ?? config.Platform, manifest.Digest, Known: null, manifest, config);
    }

    private static async Task<ReadOnlyMemory<byte>> ReadConfigAsync(IImageSource source, Descriptor descriptor, CancellationToken cancellationToken)
    {
        if (descriptor.Size > MaxConfigSize)
        {
            throw new FailureException(NotifyErrors.ConfigTooLarge(descriptor.Digest, descriptor.Size, MaxConfigSize));
        }

        await using Stream stream = await source.OpenBlobAsync(descriptor, cancellationToken);
        using MemoryStream buffer = new((int)descriptor.Size);
        await stream.CopyToAsync(buffer, cancellationToken);
        return buffer.ToArray();
    }
}
