using Google.Protobuf.WellKnownTypes;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Grpc;
using Starlight.TestKit;
using WireMount = Starlight.Infrastructure.Containerd.Protocol.Types.Mount;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>Calls <c>containerd.services.snapshots.v1</c> on a socket, the snapshotter's own or containerd's, and mounts what it answers.</summary>
/// <param name="channel">The socket; owned by the caller.</param>
/// <param name="snapshotter">Whose snapshots containerd is asked for.</param>
/// <param name="work">Where mount points are made.</param>
/// <param name="containerdNamespace">Null for a socket that knows no namespaces.</param>
/// <param name="always">Labels of everything this client makes.</param>
public sealed class SnapshotsClient(
    GrpcChannel channel, string snapshotter, string work, string? containerdNamespace = null, params (string Key, string Value)[] always)
{
    private readonly GrpcCallOptions _options =
        containerdNamespace is null ? new() : new() { Metadata = new Dictionary<string, string> { ["containerd-namespace"] = containerdNamespace } };

    public async Task<IReadOnlyList<WireMount>> PrepareAsync(string key, string parent = "", params (string Key, string Value)[] labels) =>
        (await channel.UnaryAsync(SnapshotsMethods.Prepare, new PrepareSnapshotRequest { Snapshotter = snapshotter, Key = key, Parent = parent, Labels = { Map(labels) } }, _options)).Mounts;

    public async Task<IReadOnlyList<WireMount>> ViewAsync(string key, string parent = "", params (string Key, string Value)[] labels) =>
        (await channel.UnaryAsync(SnapshotsMethods.View, new ViewSnapshotRequest { Snapshotter = snapshotter, Key = key, Parent = parent, Labels = { Map(labels) } }, _options)).Mounts;

    public async Task<IReadOnlyList<WireMount>> MountsAsync(string key) =>
        (await channel.UnaryAsync(SnapshotsMethods.Mounts, new MountsRequest { Snapshotter = snapshotter, Key = key }, _options)).Mounts;

    public Task CommitAsync(string name, string key, params (string Key, string Value)[] labels) =>
        channel.UnaryAsync(SnapshotsMethods.Commit, new CommitSnapshotRequest { Snapshotter = snapshotter, Name = name, Key = key, Labels = { Map(labels) } }, _options);

    public Task RemoveAsync(string key) => channel.UnaryAsync(SnapshotsMethods.Remove, new RemoveSnapshotRequest { Snapshotter = snapshotter, Key = key }, _options);

    public async Task<Info> StatAsync(string key) =>
        (await channel.UnaryAsync(SnapshotsMethods.Stat, new StatSnapshotRequest { Snapshotter = snapshotter, Key = key }, _options)).Info;

    public async Task<Info> UpdateAsync(Info info, params string[] fieldPaths) =>
        (await channel.UnaryAsync(SnapshotsMethods.Update, new UpdateSnapshotRequest { Snapshotter = snapshotter, Info = info, UpdateMask = new FieldMask { Paths = { fieldPaths } } }, _options)).Info;

    public async Task<IReadOnlyList<Info>> ListAsync(params string[] filters)
    {
        List<Info> all = [];
        await foreach (Info info in WalkAsync(filters))
        {
            all.Add(info);
        }

        return all;
    }

    /// <summary>Gives each snapshot as it arrives, while the answer is still open.</summary>
    public async IAsyncEnumerable<Info> WalkAsync(params string[] filters)
    {
        await foreach (ListSnapshotsResponse block in channel.ServerStreamAsync(SnapshotsMethods.List, new ListSnapshotsRequest { Snapshotter = snapshotter, Filters = { filters } }, _options))
        {
            foreach (Info info in block.Info)
            {
                yield return info;
            }
        }
    }

    public Task<UsageResponse> UsageAsync(string key) => channel.UnaryAsync(SnapshotsMethods.Usage, new UsageRequest { Snapshotter = snapshotter, Key = key }, _options);

    public Task CleanupAsync() => channel.UnaryAsync(SnapshotsMethods.Cleanup, new CleanupRequest { Snapshotter = snapshotter }, _options);

    /// <summary>Mounts below the work directory.</summary>
    public Mounted Mount(string name, IReadOnlyList<WireMount> mounts) =>
        Mounted.On(Path.Combine(work, name), [.. mounts.Select(mount => (mount.Type, mount.Source, (IReadOnlyList<string>)mount.Options))]);

    /// <summary>Prepares a snapshot, lets a script change it, and commits it as <paramref name="name"/>.</summary>
    public async Task CommitLayerAsync(string name, string parent, string script)
    {
        string key = $"{name}-active";
        using (Mounted mounted = Mount(key.Replace('/', '_'), await PrepareAsync(key, parent)))
        {
            Tool.Bash(script, mounted.Target);
        }

        await CommitAsync(name, key);
    }

    private Dictionary<string, string> Map((string Key, string Value)[] labels) => always.Concat(labels).ToDictionary(label => label.Key, label => label.Value);
}
