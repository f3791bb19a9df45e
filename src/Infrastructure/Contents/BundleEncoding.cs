using System.Buffers;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Contents;

/// <summary>The bundle format at the levels this proxy uses.</summary>
internal sealed class BundleEncoding(Spool spool) : IBundleFormat
{
    public ReadOnlyMemory<byte> EncodeUnit(BundleImage image) => ImageUnit.Encode(image, ImageUnit.DefaultLevel, spool.Directory);

    public IMemoryOwner<byte> ReadFilesystem(IndexedImage image)
    {
        try
        {
            return ImageUnit.ReadFilesystem(image.Unit, image.FilesystemDigest, spool);
        }
        catch (Exception e) when (e is FormatException or ArgumentOutOfRangeException or FailureException { Error.Code: not "Spool.Unusable" })
        {
            throw new FailureException(image.Damaged($"its unit cannot be read ({e.Message.TrimEnd('.')})"), e);
        }
    }

    public ImageUnits NameUnit(ReadOnlyMemory<byte> unit, string reference, IndexedIndex? index) => ImageUnit.Rename(unit, reference, index?.Raw, index?.MediaType);

    public ReadOnlyMemory<byte>? PatchUnit(ReadOnlyMemory<byte> unit, ReadOnlyMemory<byte> baseUnit) => ImageUnit.EncodePatched(unit, baseUnit) is { } patched ? patched : null;

    public string Identity(IReadOnlyList<ImageUnits> units, DeltaPlan plan) => BundleIdentity.Of(units, plan, BundleWriter.DefaultLevel).Hex;
}
