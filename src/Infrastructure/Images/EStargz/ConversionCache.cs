using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.EStargz;

/// <param name="Directory">Made when the first entry is stored.</param>
internal sealed record ConversionCacheOptions(string Directory);

/// <summary>
/// One small file for each converted layer, named by the source layer's digest:
/// <code>
/// sha256 of the rest, 64 hex digits, '\n' | JSON in one line, '\n' | layer index (docs/formats/layer-index.md)
/// </code>
/// A file appears whole or not at all. What cannot be read is ignored and replaced by the next conversion: the cache never decides whether one succeeds.
/// </summary>
internal sealed partial class ConversionCache(ConversionCacheOptions options, ILogger<ConversionCache> logger) : IConversionCache
{
    private const int HeadLength = Digest.HexLength + 1;

    public async Task<CachedConversion?> TryGetAsync(Digest source, CancellationToken cancellationToken)
    {
        string path = PathOf(source);
        try
        {
            byte[] file = await File.ReadAllBytesAsync(path, cancellationToken);
            return Decode(file);
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

    public async Task StoreAsync(Digest source, CachedConversion conversion, CancellationToken cancellationToken)
    {
        string path = PathOf(source);
        string temporary = path + "." + Path.GetRandomFileName();
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            try
            {
                await File.WriteAllBytesAsync(temporary, Encode(conversion), cancellationToken);
                File.Move(temporary, path, overwrite: true);
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
            LayerIndexCodec.Decode(rest[(line + 1)..]),
            record.Repositories);
    }

    private static Digest Parse(string text) => Digest.Parse(text).Value;

    private string PathOf(Digest source) => Path.Combine(options.Directory, "v1", source.Hex);

    [LoggerMessage(1, LogLevel.Warning, "conversion cache: {Path} is ignored: {Reason}")]
    private static partial void Unusable(ILogger logger, string path, string reason);

    private sealed record Record(string Digest, long Size, string DiffId, string TocDigest, long UncompressedSize, string SourceDiffId, bool IsUnchanged, string[] Repositories);

    [JsonSerializable(typeof(Record))]
    private sealed partial class RecordContext : JsonSerializerContext;
}
