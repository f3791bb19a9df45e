using System.Text.Json;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Images;

/// <summary>Reading of the OCI JSON documents: tolerant of unknown fields, strict about what is used.</summary>
internal static class OciJson
{
    /// <summary>Documents are a few levels deep; a hostile one must not exhaust the stack. Arbitrary.</summary>
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 32 };

    public static Result<T> Parse<T>(string what, ReadOnlyMemory<byte> raw, Func<JsonElement, T> read)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(raw, Options);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? read(document.RootElement)
                : throw new FormatException("it is not a JSON object");
        }
        catch (Exception e) when (e is JsonException or FormatException or KeyNotFoundException or InvalidOperationException or OverflowException)
        {
            return new Error($"{what}.Malformed", $"the image's {what.ToLowerInvariant()} cannot be read: {e.Message}", ErrorKind.DataCorrupt);
        }
    }

    public static string? String(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public static IReadOnlyList<string> Strings(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(v => v.GetString() ?? "")]
            : [];

    public static IReadOnlyDictionary<string, string> Annotations(JsonElement element) =>
        element.TryGetProperty("annotations", out JsonElement value) && value.ValueKind == JsonValueKind.Object
            ? value.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.String).ToDictionary(p => p.Name, p => p.Value.GetString()!, StringComparer.Ordinal)
            : new Dictionary<string, string>(StringComparer.Ordinal);

    public static Descriptor Descriptor(JsonElement element)
    {
        string digest = element.GetProperty("digest").GetString() ?? "";
        long size = element.GetProperty("size").GetInt64();
        if (!Digest.TryParse(digest, out Digest parsed))
        {
            throw new FormatException($"'{digest}' is not a sha256 digest");
        }

        if (size < 0)
        {
            throw new FormatException($"the size of {digest} is negative");
        }

        return new Descriptor(String(element, "mediaType") ?? "", parsed, size)
        {
            Annotations = Annotations(element),
            ArtifactType = String(element, "artifactType"),
            Platform = element.TryGetProperty("platform", out JsonElement p) && p.ValueKind == JsonValueKind.Object
                ? Platform.Normalise(String(p, "os") ?? "", String(p, "architecture") ?? "", String(p, "variant"))
                : null,
        };
    }
}
