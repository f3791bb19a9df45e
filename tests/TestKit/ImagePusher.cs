using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Starlight.Domain.Content;
using Starlight.Domain.Images;

namespace Starlight.TestKit;

/// <summary>What a manifest or blob is called after it was pushed.</summary>
public sealed record Pushed(string MediaType, Digest Digest, long Size)
{
    public JsonObject ToDescriptor(string? platform = null, params (string Key, string Value)[] annotations)
    {
        JsonObject descriptor = new() { ["mediaType"] = MediaType, ["digest"] = Digest.ToString(), ["size"] = Size };
        if (platform is not null)
        {
            string[] parts = platform.Split('/');
            descriptor["platform"] = new JsonObject { ["os"] = parts[0], ["architecture"] = parts[1] };
        }

        if (annotations.Length > 0)
        {
            descriptor["annotations"] = new JsonObject(annotations.Select(a => KeyValuePair.Create<string, JsonNode?>(a.Key, a.Value)));
        }

        return descriptor;
    }
}

/// <summary>Makes images, sound and unsound ones, in a registry by plain HTTP, without using any product code but digests and media type names.</summary>
public sealed class ImagePusher(string registryHost, string repository) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = new Uri($"http://{registryHost}/v2/{repository}/") };

    public async Task<Pushed> BlobAsync(byte[] bytes, string mediaType)
    {
        Digest digest = Digest.Of(bytes);
        using HttpResponseMessage begun = (await _http.PostAsync("blobs/uploads/", null)).EnsureSuccessStatusCode();
        string location = begun.Headers.Location!.ToString();
        string separator = location.Contains('?', StringComparison.Ordinal) ? "&" : "?";
        using ByteArrayContent body = new(bytes);
        body.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using HttpResponseMessage done = (await _http.PutAsync($"{location}{separator}digest={digest}", body)).EnsureSuccessStatusCode();
        return new Pushed(mediaType, digest, bytes.Length);
    }

    /// <summary>Pushes under a tag, or by digest if <paramref name="tag"/> is null.</summary>
    public async Task<Pushed> ManifestAsync(JsonObject manifest, string? tag)
    {
        byte[] bytes = JsonSerializer.SerializeToUtf8Bytes(manifest);
        Digest digest = Digest.Of(bytes);
        string mediaType = (string)manifest["mediaType"]!;
        using ByteArrayContent body = new(bytes);
        body.Headers.ContentType = MediaTypeHeaderValue.Parse(mediaType);
        using HttpResponseMessage done = (await _http.PutAsync($"manifests/{tag ?? digest.ToString()}", body)).EnsureSuccessStatusCode();
        return new Pushed(mediaType, digest, bytes.Length);
    }

    /// <summary>An image of uncompressed tar layers, base first.</summary>
    /// <param name="diffIds">What the configuration claims; null for the truth.</param>
    public async Task<Pushed> ImageAsync(string? tag, IEnumerable<byte[]> tarLayers, string platform = "linux/amd64", IEnumerable<Digest>? diffIds = null, params (string Key, string Value)[] annotations)
    {
        JsonArray layers = [];
        List<Digest> truth = [];
        foreach (byte[] tar in tarLayers)
        {
            byte[] blob = Gzip(tar);
            layers.Add(((await BlobAsync(blob, MediaTypes.OciLayerGzip)).ToDescriptor()));
            truth.Add(Digest.Of(tar));
        }

        string[] parts = platform.Split('/');
        JsonObject config = new()
        {
            ["os"] = parts[0],
            ["architecture"] = parts[1],
            ["config"] = new JsonObject { ["Cmd"] = new JsonArray("/bin/app") },
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray([.. (diffIds ?? truth).Select(d => JsonValue.Create(d.ToString()))]) },
        };
        Pushed pushedConfig = await BlobAsync(JsonSerializer.SerializeToUtf8Bytes(config), MediaTypes.OciConfig);
        JsonObject manifest = new() { ["schemaVersion"] = 2, ["mediaType"] = MediaTypes.OciManifest, ["config"] = pushedConfig.ToDescriptor(), ["layers"] = layers };
        if (annotations.Length > 0)
        {
            manifest["annotations"] = new JsonObject(annotations.Select(a => KeyValuePair.Create<string, JsonNode?>(a.Key, a.Value)));
        }

        return await ManifestAsync(manifest, tag);
    }

    public Task<Pushed> IndexAsync(string tag, params JsonObject[] entries) => ManifestAsync(
        new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = MediaTypes.OciIndex, ["manifests"] = new JsonArray([.. entries]) },
        tag);

    /// <summary>The blob that a layer becomes.</summary>
    public static Digest BlobOf(byte[] tarLayer) => Digest.Of(Gzip(tarLayer));

    /// <summary>Takes a manifest or blob out of this repository, whatever else in it names it.</summary>
    /// <param name="path"><c>manifests/DIGEST</c> or <c>blobs/DIGEST</c>.</param>
    public async Task DeleteAsync(string path)
    {
        using HttpResponseMessage done = (await _http.DeleteAsync(path)).EnsureSuccessStatusCode();
    }

    /// <summary>What BuildKit adds for provenance: no image.</summary>
    public async Task<Pushed> AttestationAsync()
    {
        Pushed config = await BlobAsync("{\"architecture\":\"unknown\",\"os\":\"unknown\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"u8.ToArray(), MediaTypes.OciConfig);
        Pushed statement = await BlobAsync("{\"_type\":\"https://in-toto.io/Statement/v0.1\"}"u8.ToArray(), "application/vnd.in-toto+json");
        return await ManifestAsync(
            new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = MediaTypes.OciManifest, ["config"] = config.ToDescriptor(), ["layers"] = new JsonArray(statement.ToDescriptor()) },
            tag: null);
    }

    public void Dispose() => _http.Dispose();

    private static byte[] Gzip(byte[] bytes)
    {
        using MemoryStream output = new();
        using (System.IO.Compression.GZipStream gzip = new(output, System.IO.Compression.CompressionLevel.Fastest))
        {
            gzip.Write(bytes);
        }

        return output.ToArray();
    }
}
