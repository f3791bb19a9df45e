using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Bundles;

/// <summary>
/// The part of a bundle's header that tells about one image. Made once when the image becomes known, at a high level, and put unchanged into every bundle with that image.
/// </summary>
/// <remarks>
/// Two units: what the image was asked for by, and what it is. The second depends on the manifest alone and is the large one.
/// <code>
/// name unit    text  reference           empty: asked for by digest
///              text  index media type    empty: no index
///              bytes index
/// image unit   text  manifest media type
///              bytes manifest
///              bytes config
///              32    sha256 of the filesystem image
///              bytes filesystem image
/// text, bytes: varint length, then so many bytes; text is UTF-8
/// </code>
/// </remarks>
public static class ImageUnit
{
    /// <summary>Default level of units: they are made once and sent often.</summary>
    public const int DefaultLevel = 19;

    /// <summary>Both units, ready for <see cref="BundleWriter"/>. Deterministic for one libzstd version.</summary>
    /// <param name="image">Written verbatim.</param>
    /// <param name="level">zstd level; 0 stores.</param>
    public static byte[] Encode(BundleImage image, int level = DefaultLevel)
    {
        PayloadWriter payload = new(image.FilesystemImage.Length + image.Manifest.Length + image.Config.Length + 256);
        payload.Text(image.ManifestMediaType);
        payload.Bytes(image.Manifest.Span);
        payload.Bytes(image.Config.Span);
        payload.Raw(image.FilesystemDigest.ToArray());
        payload.Bytes(image.FilesystemImage.Span);
        return [.. EncodeName(image.Reference, image.Index, image.IndexMediaType, level), .. HeaderUnit.Encode(HeaderUnitKind.Image, payload.Written, level)];
    }

    /// <summary>The same image asked for by another name: only the small unit is made anew.</summary>
    public static byte[] Rename(ReadOnlyMemory<byte> unit, string? reference, ReadOnlyMemory<byte>? index, string? indexMediaType, int level = DefaultLevel) =>
        [.. EncodeName(reference, index, indexMediaType, level), .. unit.Span[HeaderUnit.LengthOf(unit.Span)..]];

    /// <summary>Reads a unit made by <see cref="Encode"/>, e.g. from a cache, and checks that the filesystem image is what its digest says.</summary>
    /// <exception cref="FailureException">DataCorrupt <c>Bundle.Corrupt</c> and what <see cref="BundleReader.OpenAsync"/> throws.</exception>
    public static BundleImage Decode(ReadOnlyMemory<byte> unit)
    {
        try
        {
            BundleImage image = Decode(unit, out int length, out _);
            return length == unit.Length ? image : throw new FormatException("something follows the image unit");
        }
        catch (Exception e) when (e is FormatException or FailureException { Error.Code: "Zstd.Corrupt" })
        {
            throw BundleErrors.Corrupt(0, e.Message, e);
        }
    }

    /// <param name="header">The header from the image's name unit on.</param>
    /// <param name="length">Bytes that both units take up.</param>
    /// <param name="rawLength">Raw bytes of both units.</param>
    internal static BundleImage Decode(ReadOnlyMemory<byte> header, out int length, out long rawLength)
    {
        ReadOnlyMemory<byte> name = HeaderUnit.Decode(header, HeaderUnitKind.Name, BundleFormat.MaxUnitLength, out int nameLength);
        ReadOnlyMemory<byte> body = HeaderUnit.Decode(header[nameLength..], HeaderUnitKind.Image, BundleFormat.MaxUnitLength, out int bodyLength);
        length = nameLength + bodyLength;
        rawLength = (long)name.Length + body.Length;

        PayloadReader names = new(name);
        string reference = names.Text();
        string indexMediaType = names.Text();
        ReadOnlyMemory<byte> index = names.Bytes();
        names.End();

        PayloadReader fields = new(body);
        BundleImage image = new()
        {
            Reference = reference.Length == 0 ? null : reference,
            IndexMediaType = indexMediaType.Length == 0 ? null : indexMediaType,
            Index = indexMediaType.Length == 0 ? default(ReadOnlyMemory<byte>?) : index,
            ManifestMediaType = fields.Text(),
            Manifest = fields.Bytes(),
            Config = fields.Bytes(),
            FilesystemDigest = new Digest(fields.Raw(Digest.Size).Span),
            FilesystemImage = fields.Bytes(),
        };
        fields.End();
        return Digest.Of(image.FilesystemImage.Span) == image.FilesystemDigest
            ? image
            : throw new FormatException($"the filesystem image of {reference} is not {image.FilesystemDigest}");
    }

    private static byte[] EncodeName(string? reference, ReadOnlyMemory<byte>? index, string? indexMediaType, int level)
    {
        // An empty index is none: a conditional with null on one side gives empty memory, not null.
        if (index is { Length: > 0 } == string.IsNullOrEmpty(indexMediaType))
        {
            throw new ArgumentException("an index has a media type, and none has none", nameof(indexMediaType));
        }

        PayloadWriter payload = new();
        payload.Text(reference);
        payload.Text(indexMediaType);
        payload.Bytes(index.GetValueOrDefault().Span);
        return HeaderUnit.Encode(HeaderUnitKind.Name, payload.Written, level);
    }
}
