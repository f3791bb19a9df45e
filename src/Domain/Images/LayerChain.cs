using Starlight.Domain.Content;

namespace Starlight.Domain.Images;

/// <summary>An image's layers as their chain IDs, base first.</summary>
public static class LayerChain
{
    /// <summary>Whether the layer is one of these, on the parent named. A chain ID stands for all layers below it, but who asks may have them wrong.</summary>
    /// <param name="chainIds">Base first.</param>
    /// <param name="layer">Chain ID of the layer.</param>
    /// <param name="parent">Name of the snapshot that it is to stand on; null for the lowest layer.</param>
    public static bool Has(IReadOnlyList<Digest> chainIds, Digest layer, string? parent)
    {
        for (int i = 0; i < chainIds.Count; i++)
        {
            if (chainIds[i] == layer)
            {
                return parent == (i == 0 ? null : chainIds[i - 1].ToString());
            }
        }

        return false;
    }
}
