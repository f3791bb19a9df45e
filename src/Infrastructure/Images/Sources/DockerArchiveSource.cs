using System.Text.Json;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>
/// What <c>docker save</c> wrote before it wrote OCI layouts, and several tools still write (moby image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format"):
/// <code>
/// manifest.json           [{"Config":"HEX.json","RepoTags":["redis:7"],"Layers":["ID/layer.tar", …]}, …]
/// HEX.json                the image's configuration; HEX is its sha256
/// ID/layer.tar            a layer, normally uncompressed; may be a link to another layer's file
/// </code>
/// There is no manifest in it, so one is made from the files as they are: the same archive always gives the same bytes and so the same digest.
/// </summary>
internal sealed class DockerArchiveSource(IImageFiles files, LocalLocation location) : IImageSource
{
    public const string ManifestFile = "manifest.json";

    /// <summary>As much as containerd reads of an image's JSON documents.</summary>
    private const int MaxDocument = ManifestDocument.MaxSize;

    /// <summary>Held while the layers are hashed, which is done once.</summary>
    private readonly SemaphoreSlim _gate = new(1);

    private volatile Contents? _contents;

    public string DisplayName => location.DisplayName;

    public async Task<ManifestBlob> ResolveAsync(CancellationToken cancellationToken) => (await ContentsAsync(cancellationToken)).Manifest;

    public async Task<ManifestBlob> GetManifestAsync(Descriptor descriptor, CancellationToken cancellationToken)
    {
        Contents contents = await ContentsAsync(cancellationToken);
        return contents.Manifest.Digest == descriptor.Digest ? contents.Manifest : throw new FailureException(SourceErrors.BlobUnknown(DisplayName, descriptor.Digest));
    }

    public async Task<Stream> OpenBlobAsync(Descriptor descriptor, CancellationToken cancellationToken)
    {
        FileWindow window = await BlobAsync(descriptor, cancellationToken);
        return new VerifyingStream(window.Open(0, window.Length, DisplayName), descriptor, detail => SourceErrors.BlobMismatch(DisplayName, descriptor.Digest, detail));
    }

    public async Task<Stream> OpenBlobRangeAsync(Descriptor descriptor, long offset, long length, CancellationToken cancellationToken)
    {
        BlobRange.Check(descriptor, offset, length);
        return (await BlobAsync(descriptor, cancellationToken)).Open(offset, length, DisplayName);
    }

    public async ValueTask DisposeAsync()
    {
        _gate.Dispose();
        await files.DisposeAsync();
    }

    private async Task<FileWindow> BlobAsync(Descriptor descriptor, CancellationToken cancellationToken)
    {
        Contents contents = await ContentsAsync(cancellationToken);
        if (!contents.Blobs.TryGetValue(descriptor.Digest, out FileWindow? window))
        {
            throw new FailureException(SourceErrors.BlobUnknown(DisplayName, descriptor.Digest));
        }

        return window.Length == descriptor.Size
            ? window
            : throw new FailureException(SourceErrors.BlobMismatch(DisplayName, descriptor.Digest, $"it has {window.Length} bytes where its descriptor gives it {descriptor.Size}"));
    }

    private async Task<Contents> ContentsAsync(CancellationToken cancellationToken)
    {
        if (_contents is { } known)
        {
            return known;
        }

        await _gate.WaitAsync(cancellationToken);
        try
        {
            return _contents ??= await ReadAsync(cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    private async Task<Contents> ReadAsync(CancellationToken cancellationToken)
    {
        byte[] document = await File(ManifestFile).ReadAllAsync(MaxDocument, DisplayName, ManifestFile, cancellationToken);
        Entry entry = Select(Parse(document));

        // The configuration: its file is named by its digest.
        FileWindow configFile = File(entry.Config);
        byte[] config = await configFile.ReadAllAsync(MaxDocument, DisplayName, entry.Config, cancellationToken);
        Digest configDigest = Digest.Of(config);
        if (Digest.TryParseHex(Path.GetFileNameWithoutExtension(entry.Config), out Digest named) && named != configDigest)
        {
            throw new FailureException(SourceErrors.BlobMismatch(DisplayName, named, $"its content has the digest {configDigest}"));
        }

        Result<ImageConfig> parsed = ImageConfig.Parse(config);
        if (!parsed.IsSuccess)
        {
            throw new FailureException(SourceErrors.Malformed(DisplayName, parsed.Error.Message));
        }

        IReadOnlyList<Digest> diffIds = parsed.Value.DiffIds;
        if (diffIds.Count != entry.Layers.Count)
        {
            throw new FailureException(SourceErrors.Malformed(DisplayName, $"its configuration lists {diffIds.Count} layers and its manifest.json {entry.Layers.Count}"));
        }

        // The layers, as they are.
        Dictionary<Digest, FileWindow> blobs = new() { [configDigest] = configFile };
        List<Descriptor> layers = [];
        foreach ((string path, Digest diffId) in entry.Layers.Zip(diffIds))
        {
            FileWindow file = File(path);
            (Digest digest, string mediaType) = await HashAsync(file, cancellationToken);
            if (mediaType == MediaTypes.DockerLayer && digest != diffId)
            {
                throw new FailureException(SourceErrors.BlobMismatch(DisplayName, diffId, $"the layer in '{path}' has the digest {digest}"));
            }

            blobs[digest] = file;
            layers.Add(new Descriptor(mediaType, digest, file.Length));
        }

        byte[] manifest = WriteManifest(new Descriptor(MediaTypes.DockerConfig, configDigest, config.Length), layers);
        return new Contents(new ManifestBlob(manifest, MediaTypes.DockerManifest), blobs);
    }

    private FileWindow File(string path) => files.Find(path) ?? throw new FailureException(SourceErrors.Malformed(DisplayName, $"it has no file '{path}'"));

    private Entry Select(IReadOnlyList<Entry> entries)
    {
        if (entries.Count == 0)
        {
            throw new FailureException(SourceErrors.Empty(DisplayName));
        }

        IReadOnlyList<string> names = [.. entries.SelectMany(e => e.Tags)];
        List<Entry> chosen = location.Tag is not { } tag ? [.. entries] : [.. entries.Where(e => e.Tags.Any(t => ImageNames.AreSame(t, tag)))];
        return chosen.Count switch
        {
            0 => throw new FailureException(SourceErrors.TagUnknown(DisplayName, location.Tag!, names)),
            1 => chosen[0],
            _ => throw new FailureException(SourceErrors.TagNeeded(DisplayName, names)),
        };
    }

    private IReadOnlyList<Entry> Parse(byte[] raw)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(raw);
            return
            [
                .. document.RootElement.EnumerateArray().Select(e => new Entry(
                    e.GetProperty("Config").GetString() ?? "",
                    e.TryGetProperty("RepoTags", out JsonElement tags) && tags.ValueKind == JsonValueKind.Array ? [.. tags.EnumerateArray().Select(t => t.GetString() ?? "")] : [],
                    e.TryGetProperty("Layers", out JsonElement layers) && layers.ValueKind == JsonValueKind.Array ? [.. layers.EnumerateArray().Select(l => l.GetString() ?? "")] : [])),
            ];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new FailureException(SourceErrors.Malformed(DisplayName, $"its {ManifestFile} is not what docker save writes"), e);
        }
    }

    private async Task<(Digest Digest, string MediaType)> HashAsync(FileWindow file, CancellationToken cancellationToken)
    {
        byte[] start = new byte[4];
        int known;
        await using (Stream head = file.Open(0, Math.Min(start.Length, file.Length), DisplayName))
        {
            known = await head.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellationToken);
        }

        await using Stream stream = file.Open(0, file.Length, DisplayName);
        byte[] raw = await System.Security.Cryptography.SHA256.HashDataAsync(stream, cancellationToken);

        // gzip: RFC 1952, section 2.3.1; zstd frame: RFC 8878, section 3.1.1.
        string mediaType = start[..known] switch
        {
            [0x1f, 0x8b, ..] => MediaTypes.DockerLayerGzip,
            [0x28, 0xb5, 0x2f, 0xfd] => MediaTypes.OciLayerZstd,
            _ => MediaTypes.DockerLayer,
        };
        return (new Digest(raw), mediaType);
    }

    /// <summary>Docker's schema 2 (distribution docs/spec/manifest-v2-2.md), fields in the order that docker writes.</summary>
    private static byte[] WriteManifest(Descriptor config, IReadOnlyList<Descriptor> layers)
    {
        using MemoryStream raw = new();

        // The default encoder would write "+zstd" with an escape.
        using (Utf8JsonWriter json = new(raw, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteNumber("schemaVersion", 2);
            json.WriteString("mediaType", MediaTypes.DockerManifest);
            json.WriteStartObject("config");
            WriteDescriptor(json, config);
            json.WriteStartArray("layers");
            foreach (Descriptor layer in layers)
            {
                json.WriteStartObject();
                WriteDescriptor(json, layer);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return raw.ToArray();
    }

    private static void WriteDescriptor(Utf8JsonWriter json, Descriptor descriptor)
    {
        json.WriteString("mediaType", descriptor.MediaType);
        json.WriteNumber("size", descriptor.Size);
        json.WriteString("digest", descriptor.Digest.ToString());
        json.WriteEndObject();
    }

    private sealed record Entry(string Config, IReadOnlyList<string> Tags, IReadOnlyList<string> Layers);

    private sealed record Contents(ManifestBlob Manifest, IReadOnlyDictionary<Digest, FileWindow> Blobs);
}
