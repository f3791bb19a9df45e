using Starlight.Domain.Bundles;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>What the control plane needs of the delta bundle's format (docs/formats/delta-bundle.md). Deterministic and safe for concurrent use.</summary>
public interface IBundleFormat
{
    /// <summary>The image's part of a bundle header. Takes tens of milliseconds for a large image: done at notify.</summary>
    ReadOnlyMemory<byte> EncodeUnit(BundleImage image);

    /// <summary>The name of the bundle that these units and this plan give: 64 lower-case hex digits, the same on every proxy.</summary>
    string Identity(IReadOnlyList<ReadOnlyMemory<byte>> units, DeltaPlan plan);
}
