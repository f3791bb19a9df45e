using System.Runtime.CompilerServices;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Containerd.Protocol.Types;

namespace Starlight.Infrastructure.Containerd;

public partial class ContainerdClient
{
    /// <summary>The label that offers a layer to a remote snapshotter, by the chain ID it is to be committed as (containerd, docs/remote-snapshotter.md).</summary>
    public const string SnapshotRefLabel = "containerd.io/snapshot.ref";

    /// <summary>
    /// <inheritdoc/> The same steps as containerd's own unpacker (1.6, unpacker.go):
    /// 1. Stat the chain ID; if it exists there is nothing to do.
    /// 2. Prepare an active snapshot with the label. ALREADY_EXISTS means that the snapshotter has committed the layer.
    /// 3. Stat again: only a snapshot that containerd knows by its chain ID counts.
    /// 4. Any other answer of the snapshotter is an ordinary active snapshot, which is removed.
    /// Steps 1 and 3 put the snapshot under the lease themselves: containerd leases what it creates, not what it finds.
    /// </summary>
    public async Task<bool> PrepareRemoteSnapshotAsync(RemoteSnapshot snapshot, CancellationToken cancellationToken)
    {
        // 1.
        if (await IsCommittedAsync(snapshot, cancellationToken))
        {
            return true;
        }

        // 2.
        string key = $"starlight-{Guid.NewGuid():N} {snapshot.ChainId}";
        Dictionary<string, string> labels = new(snapshot.Labels, StringComparer.Ordinal) { [SnapshotRefLabel] = snapshot.ChainId };
        try
        {
            await PrepareAsync(snapshot.Snapshotter, key, snapshot.ParentChainId, labels, cancellationToken);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.AlreadyExists)
        {
            // 3.
            return await IsCommittedAsync(snapshot, cancellationToken);
        }

        // 4. Without a lease containerd may have collected it already.
        await OrNullIfNotFound(CallAsync(SnapshotsMethods.Remove, new RemoveSnapshotRequest { Snapshotter = snapshot.Snapshotter, Key = key }, CancellationToken.None));
        return false;
    }

    /// <summary>Makes an active snapshot. Fails with AlreadyExists, or NotFound if the parent is missing.</summary>
    public async Task<IReadOnlyList<Mount>> PrepareAsync(
        string snapshotter, string key, string? parent, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        PrepareSnapshotRequest request = new() { Snapshotter = snapshotter, Key = key, Parent = parent ?? "" };
        Add(request.Labels, labels);
        return (await CallAsync(SnapshotsMethods.Prepare, request, cancellationToken)).Mounts;
    }

    /// <summary>Makes a read-only snapshot. Fails as Prepare does.</summary>
    public async Task<IReadOnlyList<Mount>> ViewAsync(
        string snapshotter, string key, string? parent, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        ViewSnapshotRequest request = new() { Snapshotter = snapshotter, Key = key, Parent = parent ?? "" };
        Add(request.Labels, labels);
        return (await CallAsync(SnapshotsMethods.View, request, cancellationToken)).Mounts;
    }

    /// <summary>Mounts of an active snapshot or view. Fails with NotFound.</summary>
    public async Task<IReadOnlyList<Mount>> MountsAsync(string snapshotter, string key, CancellationToken cancellationToken) =>
        (await CallAsync(SnapshotsMethods.Mounts, new MountsRequest { Snapshotter = snapshotter, Key = key }, cancellationToken)).Mounts;

    /// <summary>Turns the active snapshot <paramref name="key"/> into the committed one <paramref name="name"/>.</summary>
    public Task CommitAsync(string snapshotter, string name, string key, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        CommitSnapshotRequest request = new() { Snapshotter = snapshotter, Name = name, Key = key };
        Add(request.Labels, labels);
        return CallAsync(SnapshotsMethods.Commit, request, cancellationToken);
    }

    /// <summary>Removes a snapshot. Fails with NotFound, or FailedPrecondition while it has children.</summary>
    public Task RemoveAsync(string snapshotter, string key, CancellationToken cancellationToken) =>
        CallAsync(SnapshotsMethods.Remove, new RemoveSnapshotRequest { Snapshotter = snapshotter, Key = key }, cancellationToken);

    /// <summary>What is known of a snapshot, or null.</summary>
    public async Task<Info?> StatAsync(string snapshotter, string key, CancellationToken cancellationToken) =>
        (await OrNullIfNotFound(CallAsync(SnapshotsMethods.Stat, new StatSnapshotRequest { Snapshotter = snapshotter, Key = key }, cancellationToken)))?.Info;

    /// <summary>All snapshots, or those that match any of the filters.</summary>
    public async IAsyncEnumerable<Info> ListAsync(
        string snapshotter, IReadOnlyList<string> filters, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ListSnapshotsRequest request = new() { Snapshotter = snapshotter, Filters = { filters } };
        await foreach (ListSnapshotsResponse batch in StreamAsync(SnapshotsMethods.List, request, cancellationToken))
        {
            foreach (Info info in batch.Info)
            {
                yield return info;
            }
        }
    }

    /// <summary>Bytes and inodes of the snapshot's own layer. Fails with NotFound.</summary>
    public async Task<(long Size, long Inodes)> UsageAsync(string snapshotter, string key, CancellationToken cancellationToken)
    {
        UsageResponse usage = await CallAsync(SnapshotsMethods.Usage, new UsageRequest { Snapshotter = snapshotter, Key = key }, cancellationToken);
        return (usage.Size, usage.Inodes);
    }

    /// <summary>Has the snapshotter free what removed snapshots left behind. Fails with Unsupported if it has nothing of that kind.</summary>
    public Task CleanupAsync(string snapshotter, CancellationToken cancellationToken) =>
        CallAsync(SnapshotsMethods.Cleanup, new CleanupRequest { Snapshotter = snapshotter }, cancellationToken);

    private async Task<bool> IsCommittedAsync(RemoteSnapshot snapshot, CancellationToken cancellationToken)
    {
        if (await StatAsync(snapshot.Snapshotter, snapshot.ChainId, cancellationToken) is not { Kind: Kind.Committed })
        {
            return false;
        }

        await AddToLeaseAsync($"snapshots/{snapshot.Snapshotter}", snapshot.ChainId, cancellationToken);
        return true;
    }
}
