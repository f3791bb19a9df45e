using System.Buffers;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>What the control plane needs of the delta bundle's format (docs/formats/delta-bundle.md). Deterministic and safe for concurrent use.</summary>
public interface IBundleFormat
{
    /// <summary>The image's part of a bundle header, without a name. Takes up to seconds for a large image: done at notify.</summary>
    ReadOnlyMemory<byte> EncodeUnit(BundleImage image);

    /// <summary>The filesystem image that is in an image's unit, checked against its digest. The caller disposes it; a large one is no part of the process's own memory.</summary>
    /// <exception cref="FailureException">DataCorrupt <c>Image.Inconsistent</c>; Internal <c>Spool.Unusable</c>.</exception>
    IMemoryOwner<byte> ReadFilesystem(IndexedImage image);

    /// <summary>The same unit for an image asked for as <paramref name="reference"/>, which <paramref name="index"/> resolves. Cheap.</summary>
    ImageUnits NameUnit(ReadOnlyMemory<byte> unit, string reference, IndexedIndex? index);

    /// <summary>
    /// The same unit for a worker that has the image of <paramref name="baseUnit"/>: what differs; null if that is not shorter. For an ordinary image it takes some tens of milliseconds.
    /// </summary>
    ReadOnlyMemory<byte>? PatchUnit(ReadOnlyMemory<byte> unit, ReadOnlyMemory<byte> baseUnit);

    /// <summary>The name of the bundle that these units and this plan give: 64 lower-case hex digits, the same on every proxy of this version.</summary>
    string Identity(IReadOnlyList<ImageUnits> units, DeltaPlan plan);
}
