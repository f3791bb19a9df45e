using System.Text.Json;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Images;

/// <summary>
/// A read-only view of an image manifest (OCI image-spec manifest.md, Docker schema 2). The raw bytes are what counts: they are kept and forwarded verbatim,
/// because re-serialising JSON changes the digest.
/// </summary>
public sealed record ImageManifest(
    ReadOnlyMemory<byte> Raw,
    string MediaType,
    Descriptor Config,
    IReadOnlyList<Descriptor> Layers,
    IReadOnlyDictionary<string, string> Annotations)
{
    public Digest Digest { get; } = Digest.Of(Raw.Span);

    /// <summary>True if this is a container image: its configuration is one and all layers hold files. Attestations, charts and signatures are not.</summary>
    public bool IsImage => MediaTypes.IsImageConfig(Config.MediaType) && Layers.All(l => MediaTypes.IsLayer(l.MediaType));

    public static Result<ImageManifest> Parse(ReadOnlyMemory<byte> raw, string? declaredMediaType = null) => OciJson.Parse("Manifest", raw, root =>
    {
        string mediaType = OciJson.String(root, "mediaType") ?? declaredMediaType ?? MediaTypes.OciManifest;
        if (!MediaTypes.IsManifest(mediaType))
        {
            throw new FormatException($"its media type is '{mediaType}'");
        }

        return new ImageManifest(
            raw,
            mediaType,
            OciJson.Descriptor(root.GetProperty("config")),
            root.TryGetProperty("layers", out JsonElement layers) && layers.ValueKind == JsonValueKind.Array ? [.. layers.EnumerateArray().Select(OciJson.Descriptor)] : [],
            OciJson.Annotations(root));
    });
}

/// <summary>A read-only view of an image index or Docker manifest list (OCI image-spec image-index.md).</summary>
public sealed record ImageIndex(ReadOnlyMemory<byte> Raw, string MediaType, IReadOnlyList<Descriptor> Manifests, IReadOnlyDictionary<string, string> Annotations)
{
    public Digest Digest { get; } = Digest.Of(Raw.Span);

    public static Result<ImageIndex> Parse(ReadOnlyMemory<byte> raw, string? declaredMediaType = null) => OciJson.Parse("Index", raw, root =>
    {
        string mediaType = OciJson.String(root, "mediaType") ?? declaredMediaType ?? MediaTypes.OciIndex;
        if (!MediaTypes.IsIndex(mediaType))
        {
            throw new FormatException($"its media type is '{mediaType}'");
        }

        return new ImageIndex(raw, mediaType, [.. root.GetProperty("manifests").EnumerateArray().Select(OciJson.Descriptor)], OciJson.Annotations(root));
    });
}

/// <summary>The parts of an image configuration that Starlight reads (OCI image-spec config.md).</summary>
public sealed record ImageConfig(
    ReadOnlyMemory<byte> Raw,
    Platform Platform,
    IReadOnlyList<Digest> DiffIds,
    IReadOnlyList<string> Entrypoint,
    IReadOnlyList<string> Command,
    IReadOnlyList<string> Environment,
    string WorkingDirectory)
{
    public static Result<ImageConfig> Parse(ReadOnlyMemory<byte> raw) => OciJson.Parse("Config", raw, root =>
    {
        JsonElement config = root.TryGetProperty("config", out JsonElement c) && c.ValueKind == JsonValueKind.Object ? c : default;
        JsonElement rootfs = root.TryGetProperty("rootfs", out JsonElement r) && r.ValueKind == JsonValueKind.Object ? r : default;
        return new ImageConfig(
            raw,
            Platform.Normalise(OciJson.String(root, "os") ?? "", OciJson.String(root, "architecture") ?? "", OciJson.String(root, "variant")),
            [.. OciJson.Strings(rootfs, "diff_ids").Select(d => Digest.Parse(d).IsSuccess ? Digest.Parse(d).Value : throw new FormatException($"'{d}' is not a diff ID"))],
            OciJson.Strings(config, "Entrypoint"),
            OciJson.Strings(config, "Cmd"),
            OciJson.Strings(config, "Env"),
            OciJson.String(config, "WorkingDir") ?? "");
    });

    /// <summary>
    /// Chain IDs, one per layer, base first (OCI image-spec config.md#layer-chainid): chain(0) = diffID(0);
    /// chain(n) = sha256(chain(n-1) + " " + diffID(n)).
    /// </summary>
    public IReadOnlyList<Digest> ChainIds()
    {
        List<Digest> chain = [];
        foreach (Digest diffId in DiffIds)
        {
            chain.Add(chain.Count == 0 ? diffId : Digest.Of(System.Text.Encoding.ASCII.GetBytes($"{chain[^1]} {diffId}")));
        }

        return chain;
    }
}
