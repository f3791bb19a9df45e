namespace Starlight.Application.Abstractions.Catalog;

/// <summary>What is in a layer. That of a large layer is no part of the process's own memory, and gone when this is disposed.</summary>
/// <param name="entries">See <see cref="Entries"/>.</param>
/// <param name="members">See <see cref="Members"/>.</param>
/// <param name="owners">Disposed with this.</param>
public sealed class LayerIndex(ReadOnlyMemory<byte> entries, ReadOnlyMemory<byte> members, params IReadOnlyList<IDisposable> owners) : IDisposable
{
    /// <summary>Entries in their binary form (docs/formats/layer-index.md).</summary>
    public ReadOnlyMemory<byte> Entries => entries;

    /// <summary>Where the blob has each content (docs/formats/layer-members.md); empty if only a scan of the whole blob can tell.</summary>
    public ReadOnlyMemory<byte> Members => members;

    public void Dispose()
    {
        foreach (IDisposable owner in owners)
        {
            owner.Dispose();
        }
    }
}
