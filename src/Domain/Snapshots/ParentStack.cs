namespace Starlight.Domain.Snapshots;

/// <summary>
/// What lies below an active or view snapshot, from the top: ordinary layers, and under them at most one provided image. Rows below the topmost provided snapshot do
/// not matter, ordinary ones included: its filesystem image is the merged tree of its whole chain.
/// </summary>
/// <param name="Ordinary">Numbers of the ordinary committed layers, topmost first.</param>
/// <param name="ProvidedChainId">Chain ID of the topmost provided snapshot, or null if all layers are ordinary.</param>
public sealed record ParentStack(IReadOnlyList<long> Ordinary, string? ProvidedChainId)
{
    /// <param name="ancestors">All ancestors, the direct parent first.</param>
    public static ParentStack Of(IEnumerable<Snapshot> ancestors)
    {
        List<long> ordinary = [];
        foreach (Snapshot ancestor in ancestors)
        {
            if (ancestor.IsProvided)
            {
                return new ParentStack(ordinary, ancestor.ProvidedChainId);
            }

            ordinary.Add(ancestor.Id);
        }

        return new ParentStack(ordinary, ProvidedChainId: null);
    }
}
