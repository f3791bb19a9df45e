using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Starlight.Domain.Content;
using Starlight.Domain.Images;

namespace Starlight.Benchmarks.Load;

/// <summary>A file of a generated image; equal seeds and lengths give equal bytes.</summary>
internal readonly record struct GeneratedFile(string Path, long Length, uint Seed);

/// <summary>Makes images of one layer of any size in a registry: tar, gzip and upload run as one stream, nothing is kept.</summary>
internal static class GeneratedImage
{
    /// <summary>Bytes of 64 values: they deflate to three quarters, about as files that are compressed badly do.</summary>
    private const int BytesPerDraw = 4;

    /// <summary>Parents come before what is in them.</summary>
    public static async Task<string> PushAsync(string registry, string name, IEnumerable<GeneratedFile> files)
    {
        using HttpClient http = new() { BaseAddress = new Uri($"http://{registry}/v2/load/"), Timeout = Timeout.InfiniteTimeSpan };
        using LayerBody layer = new(files);
        (Digest digest, long length) = await UploadAsync(http, layer, () => (layer.Digest, layer.Length));
        JsonObject config = new()
        {
            ["os"] = "linux",
            ["architecture"] = "amd64",
            ["config"] = new JsonObject { ["Cmd"] = new JsonArray("/bin/app") },
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray(layer.DiffId.ToString()) },
        };
        byte[] configBytes = JsonSerializer.SerializeToUtf8Bytes(config);
        using ByteArrayContent configBody = new(configBytes);
        await UploadAsync(http, configBody, () => (Digest.Of(configBytes), configBytes.Length));
        JsonObject manifest = new()
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["config"] = new JsonObject { ["mediaType"] = MediaTypes.OciConfig, ["digest"] = Digest.Of(configBytes).ToString(), ["size"] = configBytes.Length },
            ["layers"] = new JsonArray(new JsonObject { ["mediaType"] = MediaTypes.OciLayerGzip, ["digest"] = digest.ToString(), ["size"] = length }),
        };
        using ByteArrayContent manifestBody = new(JsonSerializer.SerializeToUtf8Bytes(manifest));
        manifestBody.Headers.ContentType = new(MediaTypes.OciManifest);
        using HttpResponseMessage done = (await http.PutAsync($"manifests/{name}", manifestBody)).EnsureSuccessStatusCode();
        return $"{registry}/load:{name}";
    }

    /// <summary>In the registry's own terms: begin, send, name (distribution-spec, "Pushing a blob in chunks").</summary>
    private static async Task<(Digest Digest, long Length)> UploadAsync(HttpClient http, HttpContent body, Func<(Digest, long)> name)
    {
        using HttpResponseMessage begun = (await http.PostAsync("blobs/uploads/", null)).EnsureSuccessStatusCode();
        using HttpRequestMessage patch = new(HttpMethod.Patch, begun.Headers.Location) { Content = body };
        using HttpResponseMessage sent = (await http.SendAsync(patch)).EnsureSuccessStatusCode();
        (Digest digest, long length) = name();
        string location = sent.Headers.Location!.ToString();
        using HttpResponseMessage done = (await http.PutAsync($"{location}{(location.Contains('?', StringComparison.Ordinal) ? '&' : '?')}digest={digest}", null)).EnsureSuccessStatusCode();
        return (digest, length);
    }

    /// <summary>Digests are known once it has been sent.</summary>
    private sealed class LayerBody(IEnumerable<GeneratedFile> files) : HttpContent
    {
        public Digest Digest { get; private set; }

        public Digest DiffId { get; private set; }

        public long Length { get; private set; }

        protected override async Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context)
        {
            await using HashingStream blob = new(stream);
            await using (GZipStream gzip = new(blob, CompressionLevel.Fastest, leaveOpen: true))
            {
                await using HashingStream tar = new(gzip);
                await using (TarWriter writer = new(tar, TarEntryFormat.Ustar, leaveOpen: true))
                {
                    foreach (GeneratedFile file in files)
                    {
                        await using SeededStream data = new(file.Seed, file.Length);
                        UstarTarEntry entry = new(TarEntryType.RegularFile, file.Path) { DataStream = data, Mode = (UnixFileMode)0x1a4, ModificationTime = DateTimeOffset.UnixEpoch };
                        await writer.WriteEntryAsync(entry);
                    }
                }

                DiffId = tar.Digest;
            }

            (Digest, Length) = (blob.Digest, blob.Written);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }

    /// <summary>xorshift32 (Marsaglia 2003).</summary>
    private sealed class SeededStream(uint seed, long length) : Stream
    {
        private uint _state = seed | 1;
        private long _position;

        public override bool CanRead => true;

        public override bool CanSeek => true;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position
        {
            get => _position;
            set => _position = value == _position ? value : throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            Span<byte> wanted = buffer[..(int)Math.Min(buffer.Length, length - _position)];
            for (int i = 0; i < wanted.Length; i++)
            {
                if (i % BytesPerDraw == 0)
                {
                    _state ^= _state << 13;
                    _state ^= _state >> 17;
                    _state ^= _state << 5;
                }

                wanted[i] = (byte)((_state >> (8 * (i % BytesPerDraw))) & 0x3f);
            }

            _position += wanted.Length;
            return wanted.Length;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }

    private sealed class HashingStream(Stream inner) : Stream
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public long Written { get; private set; }

        public Digest Digest => new(_hash.GetCurrentHash());

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => Written;
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            _hash.AppendData(buffer, offset, count);
            Written += count;
            inner.Write(buffer, offset, count);
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            _hash.AppendData(buffer.Span);
            Written += buffer.Length;
            await inner.WriteAsync(buffer, cancellationToken);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _hash.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
