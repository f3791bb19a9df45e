using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Snapshots;

/// <content>What Starlight brought for layers, freed when no provided snapshot stands for them.</content>
public sealed partial class SnapshotService
{
    /// <summary>Whether any snapshot of this layer is provided by Starlight, in whichever namespace; containerd may also have unpacked the layer itself.</summary>
    public bool IsProvided(string chainId) => store.Read(reader => reader.HasProvided(chainId));

    /// <summary>Has the image library free what it has brought for a layer that no provided snapshot stands for. Never fails: what cannot be freed is tried again at the next start.</summary>
    public async Task ReleaseUnusedAsync(string chainId)
    {
        // The usual case without the lock, which is held for a whole download where containers cannot start early.
        if (IsProvided(chainId))
        {
            return;
        }

        // Under the lock under which the layer would be asked for and committed.
        using IDisposable chain = await _chains.EnterAsync(chainId, CancellationToken.None);
        if (!IsProvided(chainId))
        {
            await ReleaseAsync(chainId);
        }
    }

    /// <summary>
    /// Releases layers without a snapshot that nobody has touched for <paramref name="quiet"/>: containerd gave up their pull half-way, or died in it. What has a snapshot is
    /// released with that (<see cref="RemoveAsync"/>).
    /// </summary>
    public async Task ReclaimAsync(TimeSpan quiet, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> candidates = images.ListQuiet(quiet);
        IReadOnlySet<string> provided = store.Read(reader => reader.ProvidedChains());
        foreach (string chainId in candidates.Where(c => !provided.Contains(c)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            await ReleaseUnusedAsync(chainId);
        }
    }

    private async Task ReleaseAsync(string chainId)
    {
        try
        {
            await images.ReleaseAsync(chainId, CancellationToken.None);
        }
        catch (FailureException failure)
        {
            logger.ReleaseFailed(chainId, failure);
        }
    }
}
