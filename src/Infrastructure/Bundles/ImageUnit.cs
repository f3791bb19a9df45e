using System.Buffers;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles.Patches;
using Starlight.Infrastructure.Native;

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
/// patched image unit, instead of an image unit, for a worker that has a relative of the image
///              the same up to and with the sha256 of the filesystem image
///              32    sha256 of the filesystem image that the worker has
///              varint length of the filesystem image
///              bytes patch               see Patches/PatchPayload
/// text, bytes: varint length, then so many bytes; text is UTF-8
/// </code>
/// </remarks>
public static class ImageUnit
{
    /// <summary>Default level of units: they are made once and sent often.</summary>
    public const int DefaultLevel = 19;

    /// <summary>Largest filesystem image, with its documents, that is patched (some 300,000 files): old and new one are in memory while that is done. Larger ones are sent whole.</summary>
    private const int MaxPatchedLength = 64 << 20;

    /// <summary>
    /// Filesystem images above this (some 200,000 files) are compressed at <see cref="LargeLevel"/> and as a stream. Measured with 300,000 files (58 MB): level 19 takes two minutes of a busy
    /// core and 120 MB.
    /// </summary>
    private const int LargeLength = 40 << 20;

    /// <summary>For filesystem images above <see cref="LargeLength"/>: they are mostly digests, of which no level makes less than half.</summary>
    private const int LargeLevel = 9;

    /// <summary>
    /// Patches of filesystem images above this (some 10,000 files) are compressed at <see cref="LargePatchLevel"/>: a worker waits for them, since nobody knows before which two images will be asked for.
    /// </summary>
    private const int LargePatchedLength = 2 << 20;

    /// <summary>For 50,000 files of which a tenth changed: 80 ms instead of 240 ms, and 3 % longer, because most of a patch are digests.</summary>
    private const int LargePatchLevel = 12;

    /// <summary>Both units, ready for <see cref="BundleWriter"/>. Deterministic for one libzstd version.</summary>
    /// <param name="image">Written verbatim.</param>
    /// <param name="level">zstd level; 0 stores.</param>
    /// <param name="scratch">Directory for what is made of a large image; null for the system's.</param>
    public static byte[] Encode(BundleImage image, int level = DefaultLevel, string? scratch = null)
    {
        byte[] name = EncodeName(image.Reference, image.Index, image.IndexMediaType, level);
        bool isLarge = image.FilesystemImage.Length > LargeLength && level > LargeLevel;
        PayloadWriter payload = new((isLarge ? 0 : image.FilesystemImage.Length) + image.Manifest.Length + image.Config.Length + 256);
        WriteDocuments(payload, image);
        if (isLarge)
        {
            payload.VarInt(image.FilesystemImage.Length);
            return HeaderUnit.EncodeLarge(name, HeaderUnitKind.Image, payload.Written, image.FilesystemImage, LargeLevel, new Spool(scratch));
        }

        payload.Bytes(image.FilesystemImage.Span);
        return [.. name, .. HeaderUnit.Encode(HeaderUnitKind.Image, payload.Written, level)];
    }

    /// <summary>
    /// The unit without a name for a worker that has the image of <paramref name="baseUnit"/>; null if that is not shorter. Deterministic for one libzstd version. For an
    /// ordinary image it takes some tens of milliseconds.
    /// </summary>
    public static byte[]? EncodePatched(ReadOnlyMemory<byte> unit, ReadOnlyMemory<byte> baseUnit, int level = DefaultLevel)
    {
        if (RawLengthOf(unit) > MaxPatchedLength || RawLengthOf(baseUnit) > MaxPatchedLength)
        {
            return null;
        }

        // Each on a core of its own, because a worker waits. Who has the units has checked what is in them.
        Task<BundleImage> decoding = Task.Run(() => Decode(unit, isChecked: true));
        BundleImage old = Decode(baseUnit, isChecked: true);
        BaseWindow window = new(old.FilesystemImage, offset: 0);
        BundleImage image = decoding.GetAwaiter().GetResult();
        byte[]? patch = PatchPayload.Encode(image.FilesystemImage.Span, [new FreshPart(image.FilesystemImage.Length, 0, window)]);
        window.Release();
        if (patch is null)
        {
            return null;
        }

        PayloadWriter payload = new(patch.Length + image.Manifest.Length + image.Config.Length + 256);
        WriteDocuments(payload, image);
        payload.Raw(old.FilesystemDigest.ToArray());
        payload.VarInt(image.FilesystemImage.Length);
        payload.Bytes(patch);
        int patchLevel = image.FilesystemImage.Length > LargePatchedLength ? Math.Min(level, LargePatchLevel) : level;
        byte[] encoded = [.. EncodeName(reference: null, index: null, indexMediaType: null, level), .. HeaderUnit.Encode(HeaderUnitKind.PatchedImage, payload.Written, patchLevel)];
        return encoded.Length < unit.Length ? encoded : null;
    }

    /// <summary>The same image asked for by another name: only the small unit is made anew.</summary>
    public static ImageUnits Rename(ReadOnlyMemory<byte> unit, string? reference, ReadOnlyMemory<byte>? index, string? indexMediaType, int level = DefaultLevel) =>
        Split(unit) with { Name = EncodeName(reference, index, indexMediaType, level) };

    /// <summary>Both units of what <see cref="Encode"/> made.</summary>
    public static ImageUnits Split(ReadOnlyMemory<byte> unit)
    {
        int name = HeaderUnit.LengthOf(unit.Span);
        return new ImageUnits(unit[..name], unit[name..]);
    }

    /// <summary>Reads a unit made by <see cref="Encode"/>, e.g. from a cache, and checks that the filesystem image is what its digest says.</summary>
    /// <exception cref="FailureException">DataCorrupt <c>Bundle.Corrupt</c> and what <see cref="BundleReader.OpenAsync"/> throws.</exception>
    public static BundleImage Decode(ReadOnlyMemory<byte> unit) => Decode(unit, isChecked: false);

    private static BundleImage Decode(ReadOnlyMemory<byte> unit, bool isChecked)
    {
        try
        {
            BundleImage image = Decode(unit, static _ => null, out int length, out _, isChecked);
            return length == unit.Length ? image : throw new FormatException("something follows the image unit");
        }
        catch (Exception e) when (e is FormatException or FailureException { Error.Code: "Zstd.Corrupt" })
        {
            throw BundleErrors.Corrupt(0, e.Message, e);
        }
    }

    /// <summary>The filesystem image of a unit made by <see cref="Encode"/>, checked. The caller disposes it.</summary>
    /// <param name="unit">Name unit and image unit.</param>
    /// <param name="digest">What the filesystem image must be.</param>
    /// <param name="spool">Where it lies if it is large.</param>
    /// <exception cref="FormatException">The unit is damaged.</exception>
    /// <exception cref="FailureException">It is damaged, or of another version.</exception>
    internal static IMemoryOwner<byte> ReadFilesystem(ReadOnlyMemory<byte> unit, Digest digest, Spool spool)
    {
        IMemoryOwner<byte> body = HeaderUnit.DecodeLarge(Split(unit).Image, HeaderUnitKind.Image, BundleFormat.MaxUnitLength, spool);
        try
        {
            PayloadReader fields = new(body.Memory);
            fields.Text();
            fields.Bytes();
            fields.Bytes();
            fields.Raw(Digest.Size);
            int length = fields.Bytes().Length;
            fields.End();
            PartOfMemory image = new(body, body.Memory.Length - length, length);
            return SpooledMemory.Hash(image.Memory) == digest ? image : throw new FormatException($"the filesystem image is not {digest}");
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    /// <param name="header">The header from the image's name unit on.</param>
    /// <param name="findBase">The filesystem image with a digest, if the worker has it.</param>
    /// <param name="length">Bytes that both units take up.</param>
    /// <param name="rawLength">Raw bytes of both units.</param>
    /// <param name="isChecked">That the filesystem image is what its digest says is known.</param>
    internal static BundleImage Decode(ReadOnlyMemory<byte> header, Func<Digest, ReadOnlyMemory<byte>?> findBase, out int length, out long rawLength, bool isChecked = false)
    {
        ReadOnlyMemory<byte> name = HeaderUnit.Decode(header, HeaderUnitKind.Name, BundleFormat.MaxUnitLength, out int nameLength);
        bool isPatched = HeaderUnit.KindOf(header.Span[nameLength..]) == HeaderUnitKind.PatchedImage;
        ReadOnlyMemory<byte> body = HeaderUnit.Decode(
            header[nameLength..], isPatched ? HeaderUnitKind.PatchedImage : HeaderUnitKind.Image, BundleFormat.MaxUnitLength, out int bodyLength);
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
            FilesystemImage = isPatched ? ReadPatched(ref fields, findBase) : fields.Bytes(),
        };
        fields.End();
        rawLength += isPatched ? image.FilesystemImage.Length : 0;
        return isChecked || Digest.Of(image.FilesystemImage.Span) == image.FilesystemDigest
            ? image
            : throw new FormatException($"the filesystem image of {reference} is not {image.FilesystemDigest}");
    }

    /// <summary>Raw length of the second unit: the filesystem image and a few documents.</summary>
    private static int RawLengthOf(ReadOnlyMemory<byte> units) => HeaderUnit.RawLengthOf(Split(units).Image.Span);

    private static void WriteDocuments(PayloadWriter payload, BundleImage image)
    {
        payload.Text(image.ManifestMediaType);
        payload.Bytes(image.Manifest.Span);
        payload.Bytes(image.Config.Span);
        payload.Raw(image.FilesystemDigest.ToArray());
    }

    private static ReadOnlyMemory<byte> ReadPatched(ref PayloadReader fields, Func<Digest, ReadOnlyMemory<byte>?> findBase)
    {
        Digest digest = new(fields.Raw(Digest.Size).Span);
        int length = fields.Count(MaxPatchedLength, "the length of a patched filesystem image");
        ReadOnlyMemory<byte> patch = fields.Bytes();
        byte[] image = new byte[length];
        MemoryPatchSource old = new(findBase(digest) ?? throw BundleErrors.BaseIncomplete(digest));
        PatchPayload.Apply(patch, [new PatchPart(length, 0, old)], image);
        return image;
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
