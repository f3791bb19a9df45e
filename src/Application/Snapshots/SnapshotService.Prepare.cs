using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;

namespace Starlight.Application.Snapshots;

public sealed partial class SnapshotService
{
    /// <summary>
    /// Makes a writable snapshot on <paramref name="parent"/> (null: an empty directory) and returns its mounts. With the label <c>containerd.io/snapshot.ref</c> it is also
    /// the remote-snapshotter protocol's question whether that layer can be had without an unpack:
    /// <list type="number">
    /// <item>The layer is provided already on this parent: AlreadyExists at once.</item>
    /// <item>Starlight provides it: a committed snapshot for it is stored, AlreadyExists. containerd then looks that up by label and parent and skips the layer.</item>
    /// <item>Otherwise, or if that cannot be found out: an ordinary snapshot, which containerd unpacks the layer into.</item>
    /// </list>
    /// Fails with NotFound (parent), InvalidInput (parent not committed, labels), AlreadyExists, Unsupported (ids mapped on a provided parent).
    /// </summary>
    public async Task<Result<IReadOnlyList<SnapshotMount>>> PrepareAsync(
        SnapshotKey key, SnapshotKey? parent, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        if (labels.TryGetValue(SnapshotLabels.Reference, out string? chainId) && chainId.Length > 0
            && await TryProvideAsync(chainId, parent, labels, cancellationToken) is { } answer)
        {
            return answer;
        }

        return await CreateAsync(key, SnapshotKind.Active, parent, labels, cancellationToken);
    }

    /// <summary>Makes a read-only snapshot on <paramref name="parent"/> and returns its mounts. Fails as <see cref="PrepareAsync"/> does.</summary>
    public Task<Result<IReadOnlyList<SnapshotMount>>> ViewAsync(
        SnapshotKey key, SnapshotKey? parent, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken) =>
        CreateAsync(key, SnapshotKind.View, parent, labels, cancellationToken);

    /// <summary>
    /// The mounts of an active or view snapshot, the same ones each time as long as the daemon and the image's completeness stay the same. Fails with NotFound,
    /// FailedPrecondition (committed), and whatever attaching the image fails with.
    /// </summary>
    public async Task<Result<IReadOnlyList<SnapshotMount>>> MountsAsync(SnapshotKey key, CancellationToken cancellationToken)
    {
        StackedSnapshot? found = store.Read(reader => reader.Find(key) is { } snapshot ? new StackedSnapshot(snapshot, ParentStack.Of(reader.Ancestors(snapshot))) : null);
        if (found is null)
        {
            return SnapshotErrors.NotFound(key.Value);
        }

        if (found.Snapshot.CheckMountable() is { IsSuccess: false } refused)
        {
            return refused.Error;
        }

        Result<IReadOnlyList<SnapshotMount>> mounts = await MountAsync(found, isNew: false, cancellationToken);
        if (found.Stack.ProvidedChainId is not null && store.Read(reader => reader.Find(key)) is null)
        {
            // Removed while it was being attached: the removal's own Detach came too early.
            images.Detach(key.Value);
            return SnapshotErrors.NotFound(key.Value);
        }

        return mounts;
    }

    private async Task<Result<IReadOnlyList<SnapshotMount>>> CreateAsync(
        SnapshotKey key, SnapshotKind kind, SnapshotKey? parent, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        // 1. Record and directories.
        Result<StackedSnapshot> created = await store.WriteAsync(
            WriteDurability.ProcessCrash, writer => Create(writer, key, kind, parent, labels), committed: null, cancellationToken);
        if (!created.IsSuccess)
        {
            return created.Error;
        }

        // 2. Mounts. Attaching a provided image may take long, so it is done outside the writer's place; if it fails nothing is left of the snapshot.
        Result<IReadOnlyList<SnapshotMount>> mounts;
        try
        {
            mounts = await MountAsync(created.Value, isNew: true, cancellationToken);
        }
        catch
        {
            await UndoAsync(created.Value.Snapshot);
            throw;
        }

        if (!mounts.IsSuccess)
        {
            await UndoAsync(created.Value.Snapshot);
        }

        return mounts;
    }

    private Result<StackedSnapshot> Create(ISnapshotWriter writer, SnapshotKey key, SnapshotKind kind, SnapshotKey? parent, IReadOnlyDictionary<string, string> labels)
    {
        Snapshot? parentSnapshot = parent is null ? null : writer.Find(parent.Value);
        Result<SnapshotDraft> draft = SnapshotDraft.Prepare(key, kind, parent, parentSnapshot, labels, time.GetUtcNow());
        if (!draft.IsSuccess)
        {
            return draft.Error;
        }

        if (writer.Find(key) is not null)
        {
            return SnapshotErrors.AlreadyExists(key.Value);
        }

        Snapshot snapshot = writer.Insert(draft.Value);
        ParentStack stack = ParentStack.Of(writer.Ancestors(snapshot));
        if (stack is { ProvidedChainId: not null, Ordinary.Count: 0 } && SnapshotLabels.AskForMappedIds(labels))
        {
            return SnapshotErrors.MappedIds(key.Value);
        }

        directories.Create(snapshot.Id, writable: kind == SnapshotKind.Active, ownerOf: stack.Ordinary.Count > 0 ? directories.Contents(stack.Ordinary[0]) : null);
        return new StackedSnapshot(snapshot, stack);
    }

    private async Task<Result<IReadOnlyList<SnapshotMount>>> MountAsync(StackedSnapshot stacked, bool isNew, CancellationToken cancellationToken)
    {
        (Snapshot snapshot, ParentStack stack) = stacked;
        RootFilesystemLayers? provided = null;
        if (stack.ProvidedChainId is { } chainId)
        {
            if (isNew && snapshot.Kind == SnapshotKind.Active)
            {
                traces.Created(snapshot.Key.Value, snapshot.Labels);
            }

            Result<RootFilesystemLayers> attached = await images.AttachAsync(chainId, snapshot.Key.Value, inOneDirectory: false, cancellationToken);
            if (attached.IsSuccess && !MountPlan.Fits(snapshot, stack.Ordinary, attached.Value, directories))
            {
                attached = await images.AttachAsync(chainId, snapshot.Key.Value, inOneDirectory: true, cancellationToken);
            }

            if (!attached.IsSuccess)
            {
                return attached.Error;
            }

            provided = attached.Value;
        }

        Result<IReadOnlyList<SnapshotMount>> mounts = MountPlan.Build(snapshot, stack.Ordinary, provided, directories);
        if (isNew && mounts.IsSuccess && provided is not null && stack.Ordinary.Count == 0)
        {
            directories.CopyOwner(snapshot.Id, provided.MetadataDirectory);
        }

        return mounts;
    }

    /// <summary>Takes back a snapshot whose mounts nobody was told.</summary>
    private async Task UndoAsync(Snapshot snapshot)
    {
        Result<Removed> removed = await store.WriteAsync(WriteDurability.ProcessCrash, writer => Remove(writer, snapshot.Key, snapshot.Id), Detach, CancellationToken.None);
        if (removed.IsSuccess)
        {
            DeleteDirectories(snapshot);
        }
    }

    /// <summary>The answer to a Prepare with a reference, or null if it is to be an ordinary one.</summary>
    private async Task<Error?> TryProvideAsync(string chainId, SnapshotKey? parent, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        using IDisposable chain = await _chains.EnterAsync(chainId, cancellationToken);

        // 1. Known already?
        (Snapshot? provided, Snapshot? parentSnapshot) = store.Read(reader => (reader.FindProvided(chainId, parent), parent is null ? null : reader.Find(parent.Value)));
        if (provided is not null)
        {
            return SnapshotErrors.Provided(chainId);
        }

        if (SnapshotDraft.CheckParent(parent, parentSnapshot) is { IsSuccess: false } refused)
        {
            return refused.Error;
        }

        // 2. Ask.
        var request = new RemoteLayerRequest(chainId, parentSnapshot is null ? null : ChainName.Of(parentSnapshot), labels);
        if (!await ProvidesAsync(request, cancellationToken))
        {
            return null;
        }

        // 3. Commit it.
        Result<Snapshot> committed = await store.WriteAsync<Snapshot>(
            WriteDurability.PowerLoss,
            writer =>
            {
                Result<SnapshotDraft> draft = SnapshotDraft.Provided(
                    FreeName(writer, chainId), chainId, parent, parent is null ? null : writer.Find(parent.Value), labels, time.GetUtcNow());
                return draft.IsSuccess ? writer.Insert(draft.Value) : draft.Error;
            },
            committed: null,
            cancellationToken);
        if (!committed.IsSuccess)
        {
            return committed.Error;
        }

        logger.Provided(chainId);
        return SnapshotErrors.Provided(chainId);
    }

    private async Task<bool> ProvidesAsync(RemoteLayerRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await images.ProvidesAsync(request, cancellationToken);
        }
        catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
        {
            // Whatever is wrong with providing it, the layer can still be unpacked: a pull must not fail because Starlight cannot speed it up.
            logger.ProvideFailed(request.ChainId, failure);
            return false;
        }
    }

    /// <summary>
    /// The chain ID, unless a snapshot on another parent has that name: the same layer may also stand on a parent that some containerd namespace unpacked for itself.
    /// containerd finds a provided snapshot by label and parent and takes any name.
    /// </summary>
    private static SnapshotKey FreeName(ISnapshotReader reader, string chainId)
    {
        SnapshotKey name = SnapshotKey.Parse(chainId).Value;
        for (int number = 2; reader.Find(name) is not null; number++)
        {
            name = SnapshotKey.Parse($"{chainId}/{number}").Value;
        }

        return name;
    }

    private sealed record StackedSnapshot(Snapshot Snapshot, ParentStack Stack);
}
