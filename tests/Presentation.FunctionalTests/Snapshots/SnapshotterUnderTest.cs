using Google.Protobuf.WellKnownTypes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Snapshots;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Snapshots;
using Starlight.Presentation.Worker.Snapshots;
using Starlight.TestKit;
using WireMount = Starlight.Infrastructure.Containerd.Protocol.Types.Mount;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>The snapshotter as containerd meets it: a Kestrel host on a unix socket, the real store and directories, and a gRPC client. Only the provided images are fake.</summary>
public sealed class SnapshotterUnderTest : IAsyncDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly GrpcChannel _channel;
    private UnixSocketListener? _listener;
    private WebApplication? _app;

    private SnapshotterUnderTest()
    {
        Directory.CreateDirectory(Work);
        _channel = GrpcChannel.ForUnixSocket(SocketPath, new GrpcPeer("snapshotter", "Snapshotter", "start it"));
    }

    public FakeProvidedImages Images { get; } = new();

    public string Root => _scratch["root"];

    /// <summary>A directory for the test's own files and mount points.</summary>
    public string Work => _scratch["work"];

    public string SocketPath => _scratch["s.sock"];

    public SnapshotService Service => _app!.Services.GetRequiredService<SnapshotService>();

    public static async Task<SnapshotterUnderTest> StartAsync()
    {
        var snapshotter = new SnapshotterUnderTest();
        await snapshotter.StartHostAsync();
        return snapshotter;
    }

    public async Task RestartAsync()
    {
        await StopHostAsync();
        await StartHostAsync();
    }

    public async Task<IReadOnlyList<WireMount>> PrepareAsync(string key, string parent = "", params (string Key, string Value)[] labels) =>
        (await _channel.UnaryAsync(SnapshotsMethods.Prepare, new PrepareSnapshotRequest { Snapshotter = "starlight", Key = key, Parent = parent, Labels = { Map(labels) } })).Mounts;

    public async Task<IReadOnlyList<WireMount>> ViewAsync(string key, string parent = "", params (string Key, string Value)[] labels) =>
        (await _channel.UnaryAsync(SnapshotsMethods.View, new ViewSnapshotRequest { Snapshotter = "starlight", Key = key, Parent = parent, Labels = { Map(labels) } })).Mounts;

    public async Task<IReadOnlyList<WireMount>> MountsAsync(string key) => (await _channel.UnaryAsync(SnapshotsMethods.Mounts, new MountsRequest { Key = key })).Mounts;

    public Task CommitAsync(string name, string key, params (string Key, string Value)[] labels) =>
        _channel.UnaryAsync(SnapshotsMethods.Commit, new CommitSnapshotRequest { Name = name, Key = key, Labels = { Map(labels) } });

    public Task RemoveAsync(string key) => _channel.UnaryAsync(SnapshotsMethods.Remove, new RemoveSnapshotRequest { Key = key });

    public async Task<Info> StatAsync(string key) => (await _channel.UnaryAsync(SnapshotsMethods.Stat, new StatSnapshotRequest { Key = key })).Info;

    public async Task<Info> UpdateAsync(Info info, params string[] fieldPaths) =>
        (await _channel.UnaryAsync(SnapshotsMethods.Update, new UpdateSnapshotRequest { Info = info, UpdateMask = new FieldMask { Paths = { fieldPaths } } })).Info;

    public async Task<IReadOnlyList<Info>> ListAsync(params string[] filters)
    {
        List<Info> all = [];
        await foreach (ListSnapshotsResponse block in _channel.ServerStreamAsync(SnapshotsMethods.List, new ListSnapshotsRequest { Filters = { filters } }))
        {
            all.AddRange(block.Info);
        }

        return all;
    }

    public Task<UsageResponse> UsageAsync(string key) => _channel.UnaryAsync(SnapshotsMethods.Usage, new UsageRequest { Key = key });

    public Task CleanupAsync() => _channel.UnaryAsync(SnapshotsMethods.Cleanup, new CleanupRequest());

    /// <summary>Mounts below <see cref="Work"/>.</summary>
    public Mounted Mount(string name, IReadOnlyList<WireMount> mounts) =>
        Mounted.On(Path.Combine(Work, name), [.. mounts.Select(mount => (mount.Type, mount.Source, (IReadOnlyList<string>)mount.Options))]);

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

    public async ValueTask DisposeAsync()
    {
        await StopHostAsync();
        _channel.Dispose();
        _scratch.Dispose();
    }

    private async Task StartHostAsync()
    {
        _listener = UnixSocketListener.Bind(SocketPath);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseGrpcUnixSockets(_listener);
        builder.Services.AddSnapshots(Root);
        builder.Services.AddSingleton<IProvidedImages>(Images);
        _app = builder.Build();
        _app.MapSnapshots();
        _app.MapGrpcUnimplemented();
        await _app.StartAsync();
    }

    private async Task StopHostAsync()
    {
        if (_app is not null)
        {
            await _app.StopAsync();
            await _app.DisposeAsync();
        }

        _listener?.Dispose();
        (_app, _listener) = (null, null);
    }

    private static Dictionary<string, string> Map((string Key, string Value)[] labels) => labels.ToDictionary(label => label.Key, label => label.Value);
}
