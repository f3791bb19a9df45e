using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.Contents;

/// <summary>The bundle format at the levels this proxy uses.</summary>
internal sealed class BundleEncoding : IBundleFormat
{
    public ReadOnlyMemory<byte> EncodeUnit(BundleImage image) => ImageUnit.Encode(image);

    public ReadOnlyMemory<byte> NameUnit(ReadOnlyMemory<byte> unit, string reference, IndexedIndex? index) => ImageUnit.Rename(unit, reference, index?.Raw, index?.MediaType);

    public ReadOnlyMemory<byte>? PatchUnit(ReadOnlyMemory<byte> unit, ReadOnlyMemory<byte> baseUnit) => ImageUnit.EncodePatched(unit, baseUnit) is { } patched ? patched : null;

    public string Identity(IReadOnlyList<ReadOnlyMemory<byte>> units, DeltaPlan plan) => BundleIdentity.Of(units, plan, BundleWriter.DefaultLevel).Hex;
}
