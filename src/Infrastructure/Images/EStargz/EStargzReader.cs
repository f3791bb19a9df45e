using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Gzip;
using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>Reads footer and TOC of a blob of which parts can be read: two ranges, whatever the blob's size. Blobs of any writer; bytes are hostile.</summary>
internal static partial class EStargzReader
{
    /// <summary>Longest TOC, compressed and as JSON. Arbitrary: a layer of 400,000 files has 160 MB of it.</summary>
    private const int MaxTocSize = 512 * 1024 * 1024;

    /// <param name="openRange">Opens [offset, offset + length) of the blob.</param>
    /// <param name="blobSize">Length of the blob in bytes.</param>
    /// <param name="expectedDigest">What the descriptor's annotation says; null to accept any TOC.</param>
    /// <param name="cancellationToken">Stops between reads.</param>
    /// <returns>Null if the blob has no eStargz footer.</returns>
    /// <exception cref="FailureException">DataCorrupt if there is a footer and what it points at is not a TOC or another than expected; Unsupported if the TOC is in another image.</exception>
    public static async Task<EStargzToc?> TryReadAsync(
        Func<long, long, CancellationToken, Task<Stream>> openRange, long blobSize, Digest? expectedDigest, CancellationToken cancellationToken)
    {
        int tailLength = (int)Math.Min(blobSize, EStargzFooter.MaxLength);
        byte[] tail = await ReadRangeAsync(openRange, blobSize - tailLength, tailLength, cancellationToken);
        if (EStargzFooter.IsExternalToc(tail))
        {
            throw LayerFailures.Unsupported("it is eStargz with its TOC in another image, which Starlight does not fetch");
        }

        if (!EStargzFooter.TryParse(tail, out long offset))
        {
            return null;
        }

        long length = blobSize - offset;
        if (length is <= EStargzFooter.LegacyLength or > MaxTocSize)
        {
            throw LayerFailures.Malformed($"its eStargz footer points to {offset}, where no TOC can be");
        }

        await using Stream compressed = await openRange(offset, length, cancellationToken);
        using PooledStream json = await ReadJsonAsync(compressed, cancellationToken);
        Digest digest = Digest.Of(json.Written.Span);
        if (expectedDigest is { } expected && expected != digest)
        {
            throw LayerFailures.Malformed($"its TOC has the digest {digest}, its descriptor says {expected}");
        }

        return Interpret(Parse(json.Written.Span), offset, digest);
    }

    private static async Task<byte[]> ReadRangeAsync(Func<long, long, CancellationToken, Task<Stream>> openRange, long offset, int length, CancellationToken cancellationToken)
    {
        await using Stream range = await openRange(offset, length, cancellationToken);
        byte[] bytes = new byte[length];
        int read = await range.ReadAtLeastAsync(bytes, length, throwOnEndOfStream: false, cancellationToken);
        return read == length ? bytes : throw LayerFailures.Malformed($"it ends after {offset + read} bytes");
    }

    private static async Task<PooledStream> ReadJsonAsync(Stream compressed, CancellationToken cancellationToken)
    {
        await using GzipMembersStream tar = new(compressed);
        using TarReader reader = new(tar);
        TarEntry? entry = await reader.NextAsync(cancellationToken);
        if (entry is null || entry.Kind != FileKind.Regular || entry.Name.Clean() != EStargzNames.Toc || entry.Size > MaxTocSize)
        {
            throw LayerFailures.Malformed("its eStargz footer does not point to a TOC");
        }

        PooledStream json = new();
        try
        {
            while (await reader.ReadContentAsync(cancellationToken) is { IsEmpty: false } piece)
            {
                json.Write(piece.Span);
            }

            return json;
        }
        catch
        {
            await json.DisposeAsync();
            throw;
        }
    }

    private static TocDocument Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            TocDocument? toc = JsonSerializer.Deserialize(json, TocContext.Default.TocDocument);
            return toc is { Version: 1, Entries: not null } ? toc : throw LayerFailures.Malformed("its TOC has another version than 1");
        }
        catch (JsonException e)
        {
            throw LayerFailures.Malformed($"its TOC is not the JSON it should be (line {e.LineNumber}, byte {e.BytePositionInLine})", e);
        }
    }

    private static EStargzToc Interpret(TocDocument toc, long tocOffset, Digest digest)
    {
        SortedSet<long> offsets = [.. toc.Entries!.Where(e => e is { Offset: > 0 } && e.Offset < tocOffset).Select(e => e!.Offset), tocOffset];
        long[] boundaries = [.. offsets];
        List<EStargzFile> files = [];
        List<EStargzChunk> chunks = [];
        TocEntry? current = null;
        int? prioritized = null;
        bool namesAreExact = true;
        foreach (TocEntry? entry in toc.Entries!)
        {
            if (entry is null)
            {
                throw LayerFailures.Malformed("its TOC has a null entry");
            }

            if (entry.Type != EStargzTypes.Chunk)
            {
                End();
                current = entry;
            }

            if (current is not null && current.Type == "reg" && current.Size > 0)
            {
                chunks.Add(Chunk(entry, current, chunks, boundaries));
            }
            else if (entry.Type == EStargzTypes.Chunk)
            {
                throw LayerFailures.Malformed($"its TOC has a chunk of '{entry.Name}', which is no file");
            }
        }

        End();
        return new EStargzToc(tocOffset, digest, files, prioritized, namesAreExact);

        void End()
        {
            if (current is null)
            {
                return;
            }

            EStargzFile file = File(current, chunks);
            chunks.Clear();
            if (EStargzNames.IsLandmarkName(file.Entry.Path))
            {
                prioritized = file.Entry.Path == EStargzNames.PrefetchLandmark ? files.Count : prioritized ?? 0;
                return;
            }

            namesAreExact &= !((current.Name ?? "") + current.LinkName).Contains('\ufffd', StringComparison.Ordinal);
            files.Add(file);
        }
    }

    /// <summary>A chunk continues where the one before ended; size 0 means to the end of the file.</summary>
    private static EStargzChunk Chunk(TocEntry entry, TocEntry file, List<EStargzChunk> before, long[] boundaries)
    {
        long position = before.Count == 0 ? 0 : before[^1].Position + before[^1].Length;
        long length = entry.ChunkSize == 0 ? file.Size - position : entry.ChunkSize;
        int boundary = Array.BinarySearch(boundaries, entry.Offset);
        if (entry.ChunkOffset != position || length <= 0 || length > file.Size - position || entry.InnerOffset < 0 || boundary < 0 || boundary == boundaries.Length - 1)
        {
            throw LayerFailures.Malformed($"its TOC has a chunk of '{file.Name}' that does not fit the file or the blob");
        }

        return new EStargzChunk(
            entry.Offset,
            boundaries[boundary + 1],
            entry.InnerOffset,
            position,
            length,
            Digest.TryParse(entry.ChunkDigest, out Digest digest) ? digest : throw LayerFailures.Malformed($"its TOC has no digest for a chunk of '{file.Name}'"));
    }

    private static EStargzFile File(TocEntry entry, List<EStargzChunk> chunks)
    {
        FileKind kind = EStargzTypes.Kind(entry.Type) ?? throw LayerFailures.Malformed($"its TOC has the unknown type '{entry.Type}'");
        if (entry.Name is null || entry.Size < 0 || (chunks.Count > 0 && chunks[^1].Position + chunks[^1].Length != entry.Size))
        {
            throw LayerFailures.Malformed($"its TOC does not have all of '{entry.Name}'");
        }

        bool isRegular = kind == FileKind.Regular;
        Digest content = !isRegular ? default
            : entry.Size == 0 ? Digest.Empty
            : Digest.TryParse(entry.Digest, out Digest whole) ? whole
            : chunks.Count == 1 ? chunks[0].Digest : default;
        (long seconds, uint nanoseconds) = Time(entry.ModTime);
        bool isDevice = kind is FileKind.CharacterDevice or FileKind.BlockDevice;
        PosixPath link = PosixPath.FromText(entry.LinkName ?? "");
        return new EStargzFile(
            new LayerEntry
            {
                Path = PosixPath.FromText(entry.Name).Clean(),
                Kind = kind,
                Mode = (ushort)(entry.Mode & 0xfff),
                Uid = entry.Uid,
                Gid = entry.Gid,
                MtimeSeconds = seconds,
                MtimeNanoseconds = nanoseconds,
                Size = isRegular ? entry.Size : 0,
                Content = content,
                LinkTarget = kind switch { FileKind.Symlink => link, FileKind.HardLink => link.Clean(), _ => PosixPath.Root },
                DeviceMajor = isDevice ? entry.DevMajor : 0,
                DeviceMinor = isDevice ? entry.DevMinor : 0,
                Xattrs = entry.Xattrs is null ? [] : [.. entry.Xattrs.Select(x => new Xattr(PosixPath.FromText(x.Key), x.Value)).OrderBy(x => x.Name)],
            },
            [.. chunks]);
    }

    /// <summary>RFC 3339 with up to nine decimals, which is more than DateTimeOffset keeps. Empty is the epoch.</summary>
    private static (long Seconds, uint Nanoseconds) Time(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return (0, 0);
        }

        int end = 19;
        if (text.Length > end && text[end] == '.')
        {
            end++;
            while (end < text.Length && char.IsAsciiDigit(text[end]))
            {
                end++;
            }
        }

        string decimals = end > 20 ? text[20..end] : "";
        return text.Length > 19
            && DateTimeOffset.TryParseExact(text[..19] + text[end..], ["yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd'T'HH:mm:sszzz"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time)
            ? (time.ToUnixTimeSeconds(), uint.Parse((decimals + "000000000").AsSpan(0, 9), NumberStyles.None, CultureInfo.InvariantCulture))
            : throw LayerFailures.Malformed($"its TOC has the time '{text}'");
    }

    private sealed class TocDocument
    {
        [JsonPropertyName("version")]
        public int Version { get; init; }

        [JsonPropertyName("entries")]
        public List<TocEntry?>? Entries { get; init; }
    }

    private sealed class TocEntry
    {
        [JsonPropertyName("name")]
        public string? Name { get; init; }

        [JsonPropertyName("type")]
        public string? Type { get; init; }

        [JsonPropertyName("size")]
        public long Size { get; init; }

        [JsonPropertyName("modtime")]
        public string? ModTime { get; init; }

        [JsonPropertyName("linkName")]
        public string? LinkName { get; init; }

        [JsonPropertyName("mode")]
        public long Mode { get; init; }

        [JsonPropertyName("uid")]
        public uint Uid { get; init; }

        [JsonPropertyName("gid")]
        public uint Gid { get; init; }

        [JsonPropertyName("devMajor")]
        public uint DevMajor { get; init; }

        [JsonPropertyName("devMinor")]
        public uint DevMinor { get; init; }

        [JsonPropertyName("xattrs")]
        public Dictionary<string, byte[]>? Xattrs { get; init; }

        [JsonPropertyName("digest")]
        public string? Digest { get; init; }

        [JsonPropertyName("offset")]
        public long Offset { get; init; }

        [JsonPropertyName("innerOffset")]
        public long InnerOffset { get; init; }

        [JsonPropertyName("chunkOffset")]
        public long ChunkOffset { get; init; }

        [JsonPropertyName("chunkSize")]
        public long ChunkSize { get; init; }

        [JsonPropertyName("chunkDigest")]
        public string? ChunkDigest { get; init; }
    }

    [JsonSerializable(typeof(TocDocument))]
    private sealed partial class TocContext : JsonSerializerContext;
}
