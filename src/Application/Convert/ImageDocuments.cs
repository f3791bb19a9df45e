using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Convert;

/// <summary>The changes that a conversion makes to configuration, manifest and index. Everything else in them stays as it is, byte for byte.</summary>
internal static class ImageDocuments
{
    /// <summary>BuildKit: the image that an attestation speaks of.</summary>
    public const string AttestedDigest = "vnd.docker.reference.digest";

    private const string AttestationType = "vnd.docker.reference.type";

    /// <summary>Annotations that describe the bytes of the original layer, which the converted one does not have: zstd:chunked's, containerd's diff ID, the first Starlight's, an external TOC's; or the layers below it, which may be others.</summary>
    private static readonly string[] StaleLayerAnnotations =
    [
        "io.containers.zstd-chunked.", "io.github.containers.zstd-chunked.", "containerd.io/uncompressed", "containerd.io/snapshot/remote/starlight/toc.",
        "containerd.io/snapshot/stargz/layer.digest", StarlightAnnotations.FilesystemDigest,
    ];

    public static bool IsAttestation(Descriptor entry) =>
        entry.Annotations.GetValueOrDefault(AttestationType) == "attestation-manifest" || entry.Platform is { IsUnknown: true };

    /// <summary>Puts the diff IDs of the converted layers in the place of the original ones.</summary>
    public static byte[] Config(string source, ReadOnlyMemory<byte> raw, IReadOnlyList<Digest> diffIds)
    {
        JsonDocumentEdit config = JsonDocumentEdit.Parse($"the configuration of {source}", raw);
        IReadOnlyList<JsonDocumentEdit> items = config.Member("rootfs")?.Member("diff_ids")?.Items ?? [];
        if (items.Count != diffIds.Count)
        {
            throw new FailureException(ConvertErrors.Mismatch(source, $"its configuration has {items.Count} diff IDs, its manifest {diffIds.Count} layers"));
        }

        for (int i = 0; i < items.Count; i++)
        {
            items[i].Replace(diffIds[i].ToString());
        }

        return config.ToBytes();
    }

    /// <param name="manifest">The original.</param>
    /// <param name="config">The new configuration.</param>
    /// <param name="layers">In order, one for each layer of the original.</param>
    /// <param name="trees">sha256 of the filesystem image that each layer and those below it give; the last is the image's.</param>
    public static byte[] Manifest(ImageManifest manifest, Descriptor config, IReadOnlyList<ConvertedLayerInfo> layers, IReadOnlyList<Digest> trees)
    {
        JsonDocumentEdit root = JsonDocumentEdit.Parse("the manifest", manifest.Raw);
        PointTo(root.Member("config")!, config.Digest, config.Size);
        IReadOnlyList<JsonDocumentEdit> items = root.Member("layers")!.Items;
        for (int i = 0; i < items.Count; i++)
        {
            Layer(items[i], manifest.Layers[i], layers[i]);
            if (i < items.Count - 1)
            {
                items[i].ObjectMember("annotations").SetMember(StarlightAnnotations.FilesystemDigest, trees[i].ToString());
            }
        }

        root.ObjectMember("annotations").SetMember(StarlightAnnotations.FilesystemDigest, trees[^1].ToString());
        return root.ToBytes();
    }

    /// <summary>Points each entry to what it has become.</summary>
    /// <param name="index">The original.</param>
    /// <param name="entries">For each entry of the original what stands for it now; null to take the entry out.</param>
    public static byte[] Index(ImageIndex index, IReadOnlyList<Descriptor?> entries)
    {
        Dictionary<Digest, Digest> renamed = [];
        for (int i = 0; i < entries.Count; i++)
        {
            renamed[index.Manifests[i].Digest] = entries[i]?.Digest ?? index.Manifests[i].Digest;
        }

        JsonDocumentEdit root = JsonDocumentEdit.Parse("the index", index.Raw);
        JsonDocumentEdit list = root.Member("manifests")!;
        IReadOnlyList<JsonDocumentEdit> items = list.Items;
        for (int i = 0; i < items.Count; i++)
        {
            if (entries[i] is not { } entry)
            {
                list.RemoveItem(i);
                continue;
            }

            if (entry.Digest != index.Manifests[i].Digest)
            {
                PointTo(items[i], entry.Digest, entry.Size);
            }

            if (Digest.TryParse(index.Manifests[i].Annotations.GetValueOrDefault(AttestedDigest), out Digest attested) && renamed.TryGetValue(attested, out Digest now) && now != attested)
            {
                items[i].ObjectMember("annotations").SetMember(AttestedDigest, now.ToString());
            }
        }

        return root.ToBytes();
    }

    private static void Layer(JsonDocumentEdit item, Descriptor source, ConvertedLayerInfo layer)
    {
        bool isDocker = source.MediaType.StartsWith("application/vnd.docker.", StringComparison.Ordinal);
        item.SetMember("mediaType", isDocker ? MediaTypes.DockerLayerGzip : MediaTypes.OciLayerGzip);
        PointTo(item, layer.Digest, layer.Size);
        JsonDocumentEdit annotations = item.ObjectMember("annotations");
        annotations.RemoveMembers(name => StaleLayerAnnotations.Any(stale => name.StartsWith(stale, StringComparison.Ordinal)));
        annotations.SetMember(StarlightAnnotations.TocDigest, layer.TocDigest.ToString());
        annotations.SetMember(StarlightAnnotations.UncompressedSize, layer.UncompressedSize.ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (!layer.IsUnchanged)
        {
            annotations.SetMember(StarlightAnnotations.SourceDigest, source.Digest.ToString());
        }
    }

    /// <summary>A descriptor may carry the content itself ("data") or addresses of it ("urls"): both are the original's.</summary>
    private static void PointTo(JsonDocumentEdit descriptor, Digest digest, long size)
    {
        descriptor.SetMember("digest", digest.ToString());
        descriptor.SetMember("size", size);
        descriptor.RemoveMembers(name => name is "data" or "urls");
    }
}
