using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Snapshots;
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
        Client = new SnapshotsClient(_channel, "starlight", Work);
    }

    public SnapshotsClient Client { get; }

    public FakeProvidedImages Images { get; } = new();

    public FakeContainerTraces Traces { get; } = new();

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

    /// <summary>A client whose snapshots have these labels.</summary>
    public SnapshotsClient NewClient(params (string Key, string Value)[] always) => new(_channel, "starlight", Work, always: always);

    /// <summary>Stops listening and closes the store, and closes that again.</summary>
    public async Task StopTwiceAsync()
    {
        var store = (IAsyncDisposable)_app!.Services.GetRequiredService<ISnapshotStore>();
        await StopHostAsync();
        await store.DisposeAsync();
    }

    public async Task RestartAsync()
    {
        await StopHostAsync();
        await StartHostAsync();
    }

    public Task<IReadOnlyList<WireMount>> PrepareAsync(string key, string parent = "", params (string Key, string Value)[] labels) => Client.PrepareAsync(key, parent, labels);

    public Task<IReadOnlyList<WireMount>> ViewAsync(string key, string parent = "", params (string Key, string Value)[] labels) => Client.ViewAsync(key, parent, labels);

    public Task<IReadOnlyList<WireMount>> MountsAsync(string key) => Client.MountsAsync(key);

    public Task CommitAsync(string name, string key, params (string Key, string Value)[] labels) => Client.CommitAsync(name, key, labels);

    public Task RemoveAsync(string key) => Client.RemoveAsync(key);

    public Task<Info> StatAsync(string key) => Client.StatAsync(key);

    public Task<Info> UpdateAsync(Info info, params string[] fieldPaths) => Client.UpdateAsync(info, fieldPaths);

    public Task<IReadOnlyList<Info>> ListAsync(params string[] filters) => Client.ListAsync(filters);

    public Task<UsageResponse> UsageAsync(string key) => Client.UsageAsync(key);

    public Task CleanupAsync() => Client.CleanupAsync();

    public Mounted Mount(string name, IReadOnlyList<WireMount> mounts) => Client.Mount(name, mounts);

    public Task CommitLayerAsync(string name, string parent, string script) => Client.CommitLayerAsync(name, parent, script);

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
        builder.Services.AddSingleton<IContainerTraces>(Traces);
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
}
