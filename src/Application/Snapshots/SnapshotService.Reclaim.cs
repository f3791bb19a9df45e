namespace Starlight.Application.Snapshots;

/// <content>Images without a snapshot.</content>
public sealed partial class SnapshotService
{
    /// <summary>
    /// Releases images whose top layer has no snapshot and that nobody has touched for <paramref name="quiet"/>: containerd gave up their pull half-way, or died in it. What has a
    /// snapshot is released with that (<see cref="RemoveAsync"/>).
    /// </summary>
    public async Task ReclaimAsync(TimeSpan quiet, CancellationToken cancellationToken)
    {
        foreach (string chainId in images.ListQuiet(quiet))
        {
            // Under the lock under which the layer would be asked for and committed.
            using IDisposable chain = await _chains.EnterAsync(chainId, cancellationToken);
            if (!store.Read(reader => reader.HasProvided(chainId)))
            {
                logger.Reclaimed(chainId);
                await ReleaseAsync(chainId);
            }
        }
    }
}
