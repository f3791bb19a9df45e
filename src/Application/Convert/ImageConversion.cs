using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Application.Convert;

/// <summary>Converts one source, manifest by manifest. Everything is at the destination when a method returns, but for the manifest it returns.</summary>
internal sealed class ImageConversion(
    ConvertImageCommand command, IImageSource source, IImageDestination destination, LayerConversions layers, ImageOptimization? optimization, IFilesystemImages filesystems)
{
    /// <summary>Indexes within indexes. Arbitrary; one level is usual.</summary>
    public const int MaxDepth = 4;

    /// <summary>Longest image configuration in bytes: the limit that registries put on manifests (distribution, 4 MiB) with room to spare.</summary>
    public const int MaxConfigSize = 16 * 1024 * 1024;

    private readonly List<ConvertedImage> _images = [];
    private readonly List<Platform> _seen = [];

    public IReadOnlyList<ConvertedImage> Images => _images;

    public async Task<ManifestBlob> ConvertAsync(ManifestBlob top, CancellationToken cancellationToken)
    {
        ManifestBlob? converted = await TryConvertAsync(top, listed: null, depth: 0, cancellationToken);
        if (_images.Count == 0 || converted is null)
        {
            throw new FailureException(_seen.Count > 0
                ? ConvertErrors.NoSuchPlatform(source.DisplayName, command.Platforms, _seen)
                : ConvertErrors.NotAnImage(source.DisplayName, "nothing in it has files of a container"));
        }

        return converted;
    }

    /// <summary>Null if nothing of it was selected.</summary>
    private async Task<ManifestBlob?> TryConvertAsync(ManifestBlob blob, Platform? listed, int depth, CancellationToken cancellationToken)
    {
        if (blob.MediaType.StartsWith("application/vnd.docker.distribution.manifest.v1+", StringComparison.Ordinal))
        {
            throw new FailureException(ConvertErrors.Schema1(source.DisplayName));
        }

        if (MediaTypes.IsIndex(blob.MediaType))
        {
            return depth < MaxDepth ? await ConvertIndexAsync(blob, depth, cancellationToken) : throw new FailureException(ConvertErrors.TooDeep(source.DisplayName));
        }

        ImageManifest manifest = ImageManifest.Parse(blob.Raw, blob.MediaType).Value;
        if (manifest.IsImage)
        {
            return await ConvertImageAsync(manifest, listed, cancellationToken);
        }

        if (depth == 0)
        {
            throw new FailureException(ConvertErrors.NotAnImage(source.DisplayName, $"its configuration has the media type {manifest.Config.MediaType}"));
        }

        return command.Platforms.Platforms is null ? await CopyAsync(manifest, blob, cancellationToken) : null;
    }

    private async Task<ManifestBlob?> ConvertIndexAsync(ManifestBlob blob, int depth, CancellationToken cancellationToken)
    {
        ImageIndex index = ImageIndex.Parse(blob.Raw, blob.MediaType).Value;
        Descriptor?[] entries = new Descriptor?[index.Manifests.Count];
        foreach (Platform platform in index.Manifests.Where(m => !ImageDocuments.IsAttestation(m)).Select(m => m.Platform).OfType<Platform>().Where(command.Platforms.Contains))
        {
            // before the first of them is sent
            optimization?.For(platform);
        }

        for (int i = 0; i < entries.Length; i++)
        {
            Descriptor entry = index.Manifests[i];
            if (ImageDocuments.IsAttestation(entry))
            {
                continue;
            }

            if (entry.Platform is { } platform && !command.Platforms.Contains(platform))
            {
                _seen.Add(platform);
                continue;
            }

            ManifestBlob original = await source.GetManifestAsync(entry, cancellationToken);
            if (await TryConvertAsync(original, entry.Platform, depth + 1, cancellationToken) is { } converted)
            {
                await destination.PushManifestAsync(converted, tag: null, cancellationToken);
                entries[i] = converted.Descriptor;
            }
        }

        await CopyAttestationsAsync(index, entries, cancellationToken);
        return entries.Any(e => e is not null) ? new ManifestBlob(ImageDocuments.Index(index, entries), blob.MediaType) : null;
    }

    /// <summary>An attestation is kept as it is if the image that it speaks of is; one that speaks of nothing in this index is kept when all is.</summary>
    private async Task CopyAttestationsAsync(ImageIndex index, Descriptor?[] entries, CancellationToken cancellationToken)
    {
        HashSet<Digest> kept = [.. index.Manifests.Where((_, i) => entries[i] is not null).Select(m => m.Digest)];
        for (int i = 0; i < entries.Length; i++)
        {
            Descriptor entry = index.Manifests[i];
            bool isWanted = Digest.TryParse(entry.Annotations.GetValueOrDefault(ImageDocuments.AttestedDigest), out Digest attested) && kept.Contains(attested);
            if (ImageDocuments.IsAttestation(entry) && (isWanted || command.Platforms.Platforms is null))
            {
                ManifestBlob blob = await source.GetManifestAsync(entry, cancellationToken);
                await CopyAsync(ImageManifest.Parse(blob.Raw, blob.MediaType).Value, blob, cancellationToken);
                await destination.PushManifestAsync(blob, tag: null, cancellationToken);
                entries[i] = entry;
            }
        }
    }

    private async Task<ManifestBlob> CopyAsync(ImageManifest manifest, ManifestBlob blob, CancellationToken cancellationToken)
    {
        foreach (Descriptor descriptor in manifest.Layers.Append(manifest.Config).DistinctBy(d => d.Digest))
        {
            await destination.PushBlobAsync(descriptor, token => source.OpenBlobAsync(descriptor, token), progress: null, cancellationToken);
        }

        return blob;
    }

    private async Task<ManifestBlob?> ConvertImageAsync(ImageManifest manifest, Platform? listed, CancellationToken cancellationToken)
    {
        // 1. what is it, and is it wanted
        ReadOnlyMemory<byte> rawConfig = await ReadConfigAsync(manifest.Config, cancellationToken);
        ImageConfig config = ImageConfig.Parse(rawConfig).Value;
        Platform platform = listed ?? config.Platform;
        _seen.Add(platform);
        if (!command.Platforms.Contains(platform))
        {
            return null;
        }

        FileOrder? order = optimization?.For(platform);
        Refuse(manifest.Layers);
        if (config.DiffIds.Count != manifest.Layers.Count)
        {
            throw new FailureException(ConvertErrors.Mismatch(
                source.DisplayName, $"its configuration has {config.DiffIds.Count} diff IDs, its manifest {manifest.Layers.Count} layers"));
        }

        // 2. its layers
        IReadOnlyList<LayerOutcome> outcomes = await layers.ConvertAsync(manifest.Layers, config.DiffIds, order?.Files, cancellationToken);
        for (int i = 0; i < outcomes.Count; i++)
        {
            if (outcomes[i].Info.SourceDiffId != config.DiffIds[i])
            {
                throw new FailureException(ConvertErrors.Mismatch(
                    source.DisplayName, $"layer {manifest.Layers[i].Digest} has the diff ID {outcomes[i].Info.SourceDiffId}, its configuration says {config.DiffIds[i]}"));
            }
        }

        // 3. the tree after each layer, which the manifest vouches for
        List<Digest> trees = [];
        TreeMerger merger = new();
        foreach (LayerOutcome outcome in outcomes)
        {
            merger.Apply(outcome.Entries).ThrowIfFailure();
            using BuiltFilesystem filesystem = filesystems.Build(merger.Build());
            trees.Add(filesystem.Digest);
        }

        // 4. its documents
        byte[] newConfig = ImageDocuments.Config(source.DisplayName, rawConfig, [.. outcomes.Select(o => o.Info.DiffId)]);
        Descriptor configDescriptor = new(manifest.Config.MediaType, Digest.Of(newConfig), newConfig.Length);
        await destination.PushBlobAsync(configDescriptor, _ => Task.FromResult<Stream>(new MemoryStream(newConfig, writable: false)), progress: null, cancellationToken);
        ManifestBlob converted = new(ImageDocuments.Manifest(manifest, configDescriptor, [.. outcomes.Select(o => o.Info)], trees), manifest.MediaType);
        _images.Add(new ConvertedImage(
            platform, converted.Digest, trees[^1], outcomes.Count, outcomes.Count(o => o.IsReused), manifest.Layers.Sum(l => l.Size), outcomes.Sum(o => o.Info.Size), order));
        return converted;
    }

    private static void Refuse(IReadOnlyList<Descriptor> layers)
    {
        foreach (Descriptor layer in layers)
        {
            if (layer.MediaType.EndsWith("+encrypted", StringComparison.Ordinal))
            {
                throw new FailureException(ConvertErrors.Encrypted(layer.Digest));
            }

            if (layer.MediaType.Contains("foreign", StringComparison.Ordinal) || layer.MediaType.Contains("nondistributable", StringComparison.Ordinal))
            {
                throw new FailureException(ConvertErrors.Foreign(layer.Digest));
            }
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReadConfigAsync(Descriptor descriptor, CancellationToken cancellationToken)
    {
        if (descriptor.Size > MaxConfigSize)
        {
            throw new FailureException(ConvertErrors.TooLarge(descriptor.Digest, descriptor.Size));
        }

        await using Stream blob = await source.OpenBlobAsync(descriptor, cancellationToken);
        using MemoryStream bytes = new();
        await blob.CopyToAsync(bytes, cancellationToken);
        return bytes.ToArray();
    }
}
