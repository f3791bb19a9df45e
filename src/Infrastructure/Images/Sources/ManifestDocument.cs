using System.Text.Json;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>
/// Decides what a manifest's bytes are. The media type comes from beside the document (Content-Type, descriptor) and from its own <c>mediaType</c> field; if
/// they differ, or if it could be read as manifest and as index, it is refused: two tools would see two images behind one digest (CVE-2021-41190).
/// </summary>
internal static class ManifestDocument
{
    /// <summary>What registries and containerd accept at most (distribution-spec, "Pushing Manifests": 4 MiB).</summary>
    public const int MaxSize = 4 * 1024 * 1024;

    /// <summary>Deeper than any manifest; a hostile one must not exhaust the stack. Arbitrary.</summary>
    private const int MaxDepth = 32;

    /// <summary>Docker's first format, signed and without a configuration: registries stopped taking it years ago.</summary>
    private const string DockerSchema1 = "application/vnd.docker.distribution.manifest.v1+json";
    private const string DockerSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";

    /// <summary>Everything that this code reads, for Accept headers.</summary>
    public static IReadOnlyList<string> Accepted { get; } = [MediaTypes.OciIndex, MediaTypes.OciManifest, MediaTypes.DockerManifestList, MediaTypes.DockerManifest];

    /// <param name="raw">The document.</param>
    /// <param name="declared">Media type from beside the document; null or a general one (application/json) if it says nothing.</param>
    /// <param name="origin">How errors name where it came from.</param>
    public static ManifestBlob Read(ReadOnlyMemory<byte> raw, string? declared, string origin)
    {
        string? own;
        bool hasManifests;
        bool hasLayers;
        bool isSchema1;
        try
        {
            using JsonDocument document = JsonDocument.Parse(raw, new JsonDocumentOptions { MaxDepth = MaxDepth });
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw Failure("Malformed", origin, "it is not a JSON object");
            }

            own = root.TryGetProperty("mediaType", out JsonElement type) && type.ValueKind == JsonValueKind.String ? type.GetString() : null;
            hasManifests = root.TryGetProperty("manifests", out _);
            hasLayers = root.TryGetProperty("config", out _) || root.TryGetProperty("layers", out _);
            isSchema1 = root.TryGetProperty("schemaVersion", out JsonElement version) && version.ValueKind == JsonValueKind.Number && version.TryGetInt32(out int number) && number == 1;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Failure("Malformed", origin, "it is not JSON");
        }

        if (isSchema1 || declared is DockerSchema1 or DockerSchema1Signed)
        {
            throw new FailureException(new Error(
                "Manifest.SchemaOne", $"the manifest of {origin} has Docker's schema 1, which is not supported: push the image again with a current tool", ErrorKind.Unsupported));
        }

        if (hasManifests && hasLayers)
        {
            throw Failure("Ambiguous", origin, "it can be read as an image and as an index");
        }

        string? stated = IsKnown(declared) ? declared : null;
        if (own is not null && stated is not null && own != stated)
        {
            throw Failure("Ambiguous", origin, $"it is served as '{stated}' and calls itself '{own}'");
        }

        string mediaType = own ?? stated ?? (hasManifests ? MediaTypes.OciIndex : MediaTypes.OciManifest);
        if (!IsKnown(mediaType))
        {
            throw new FailureException(new Error("Manifest.Unsupported", $"the manifest of {origin} is a '{mediaType}', which is not an image or an index of images", ErrorKind.Unsupported));
        }

        if (MediaTypes.IsIndex(mediaType) ? hasLayers : hasManifests)
        {
            throw Failure("Ambiguous", origin, $"its content does not fit its media type '{mediaType}'");
        }

        return new ManifestBlob(raw, mediaType);
    }

    private static bool IsKnown(string? mediaType) => MediaTypes.IsIndex(mediaType) || MediaTypes.IsManifest(mediaType);

    private static FailureException Failure(string problem, string origin, string why) =>
        new(new Error("Manifest." + problem, $"the manifest of {origin} cannot be used: {why}", ErrorKind.DataCorrupt));
}
