using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.EStargz;

/// <param name="Directory">Made when the first entry is stored.</param>
/// <param name="MaxBytes">Above this those go that were not used for longest.</param>
internal sealed record ConversionCacheOptions(string Directory, long MaxBytes = ConversionCacheOptions.DefaultMaxBytes)
{
    /// <summary>A file of the layer takes some fifty bytes: room for a thousand layers of five thousand. Arbitrary.</summary>
    public const long DefaultMaxBytes = 256L << 20;
}

/// <summary>
/// One small file for each converted layer, named by the source layer's digest, and by that of the files that come first if there are any (<c>SOURCE-FILES</c>):
/// <code>
/// sha256 of the rest, 64 hex digits, '\n' | JSON in one line, '\n' | layer index (docs/formats/layer-index.md)
/// </code>
/// A file appears whole or not at all; its modification time is that of its last use, to a day, and decides which go when there is no more room. What cannot be read is ignored and replaced by the next conversion: the cache never decides whether one succeeds.
/// </summary>
internal sealed partial class ConversionCache(ConversionCacheOptions options, ILogger<ConversionCache> logger) : IConversionCache
{
    private const int HeadLength = Digest.HexLength + 1;

    /// <summary>How exactly uses are noted.</summary>
    private static readonly TimeSpan Stale = TimeSpan.FromDays(1);

    /// <summary>Room is made to this part of the limit, so that the next entry need not make any.</summary>
    private const double LowWater = 0.9;

    /// <summary>One at a time makes room.</summary>
    private readonly Lock _trimming = new();

    private string Entries => Path.Combine(options.Directory, "v1");

    public Task<CachedConversion?> TryGetAsync(ConversionKey key, CancellationToken cancellationToken) => TryReadAsync(PathOf(key), cancellationToken);

    public async Task<IReadOnlyList<LayerEntry>?> TryGetEntriesAsync(Digest source, CancellationToken cancellationToken)
    {
        foreach (string path in PathsOf(source))
        {
            if (await TryReadAsync(path, cancellationToken) is { } conversion)
            {
                return conversion.Entries;
            }
        }

        return null;
    }

    public async Task StoreAsync(ConversionKey key, CachedConversion conversion, CancellationToken cancellationToken)
    {
        string path = PathOf(key);
        string temporary = path + "." + Path.GetRandomFileName();
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            try
            {
                await File.WriteAllBytesAsync(temporary, Encode(conversion), cancellationToken);
                File.Move(temporary, path, overwrite: true);
                Trim(keep: path);
            }
            catch
            {
                File.Delete(temporary);
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Unusable(logger, path, e.Message);
        }
    }

    private async Task<CachedConversion?> TryReadAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            byte[] file = await File.ReadAllBytesAsync(path, cancellationToken);
            CachedConversion conversion = Decode(file);
            if (DateTime.UtcNow - File.GetLastWriteTimeUtc(path) > Stale)
            {
                File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            }

            return conversion;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or FailureException)
        {
            Unusable(logger, path, e.Message);
            return null;
        }
    }

    /// <summary>Counts what is there, also what other processes have stored: a conversion takes seconds, looking at a thousand files takes milliseconds.</summary>
    private void Trim(string keep)
    {
        lock (_trimming)
        {
            FileInfo[] files = [.. new DirectoryInfo(Entries).EnumerateFiles().OrderBy(f => f.LastWriteTimeUtc)];
            long total = files.Sum(f => f.Length);
            long wanted = total > options.MaxBytes ? (long)(options.MaxBytes * LowWater) : total;
            foreach (FileInfo file in files)
            {
                if (total <= wanted)
                {
                    return;
                }

                if (file.FullName != keep)
                {
                    total -= file.Length;
                    file.Delete();
                }
            }
        }
    }

    private static byte[] Encode(CachedConversion conversion)
    {
        ConvertedLayerInfo layer = conversion.Layer;
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(
            new Record(
                layer.Digest.ToString(), layer.Size, layer.DiffId.ToString(), layer.TocDigest.ToString(), layer.UncompressedSize, layer.SourceDiffId.ToString(), layer.IsUnchanged, [.. conversion.Repositories]),
            RecordContext.Default.Record);
        byte[] rest = [.. json, (byte)'\n', .. LayerIndexCodec.Encode(conversion.Entries)];
        return [.. Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(rest))), (byte)'\n', .. rest];
    }

    private static CachedConversion Decode(byte[] file)
    {
        ReadOnlySpan<byte> rest = file.Length > HeadLength && file[HeadLength - 1] == '\n' ? file.AsSpan(HeadLength) : throw LayerFailures.IndexMalformed("it is cut off");
        int line = rest.IndexOf((byte)'\n');
        if (line < 0 || !Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(rest))).AsSpan().SequenceEqual(file.AsSpan(0, Digest.HexLength)))
        {
            throw LayerFailures.IndexMalformed("its digest is wrong");
        }

        Record record = JsonSerializer.Deserialize(rest[..line], RecordContext.Default.Record) ?? throw LayerFailures.IndexMalformed("it is null");
        return new CachedConversion(
            new ConvertedLayerInfo(
                Parse(record.Digest), record.Size, Parse(record.DiffId), Parse(record.TocDigest), record.UncompressedSize, Parse(record.SourceDiffId), record.IsUnchanged),
            LayerIndexCodec.Decode(file.AsMemory(HeadLength + line + 1)),
            record.Repositories);
    }

    private static Digest Parse(string text) => Digest.Parse(text).Value;

    private string PathOf(ConversionKey key) => Path.Combine(Entries, key.Files is { } files ? $"{key.Source.Hex}-{files.Hex}" : key.Source.Hex);

    /// <summary>Of all conversions of a layer. Temporary files have a dot in their names.</summary>
    private string[] PathsOf(Digest source)
    {
        try
        {
            return [.. Directory.EnumerateFiles(Entries, source.Hex + "*").Where(p => !Path.GetFileName(p).Contains('.', StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "conversion cache: {Path} is ignored: {Reason}")]
    private static partial void Unusable(ILogger logger, string path, string reason);

    private sealed record Record(string Digest, long Size, string DiffId, string TocDigest, long UncompressedSize, string SourceDiffId, bool IsUnchanged, string[] Repositories);

    [JsonSerializable(typeof(Record))]
    private sealed partial class RecordContext : JsonSerializerContext;
}
