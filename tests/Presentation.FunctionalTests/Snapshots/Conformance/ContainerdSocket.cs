using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Grpc;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots.Conformance;

/// <summary>A real containerd's socket, with the snapshotter behind it as a proxy plugin, or with containerd's own overlayfs snapshotter, which shows that the tests ask for what containerd does.</summary>
internal sealed class ContainerdSocket : ConformanceTarget
{
    private const string Namespace = "conformance";

    private readonly SnapshotterUnderTest _snapshotter;
    private readonly ContainerdServer _containerd;
    private readonly GrpcChannel _channel;
    private readonly bool _isOverlayfs;

    private ContainerdSocket(SnapshotterUnderTest snapshotter, ContainerdServer containerd, bool isOverlayfs)
    {
        (_snapshotter, _containerd, _isOverlayfs) = (snapshotter, containerd, isOverlayfs);
        _channel = GrpcChannel.ForUnixSocket(containerd.Address, GrpcPeer.Containerd);
        Snapshots = new SnapshotsClient(_channel, isOverlayfs ? "overlayfs" : "starlight", Work, Namespace, Root);
    }

    public override SnapshotsClient Snapshots { get; }

    public override string Work => _snapshotter.Work;

    public override string Directories => Path.Combine(_isOverlayfs ? Path.Combine(_containerd.Root, "io.containerd.snapshotter.v1.overlayfs") : _snapshotter.Root, "snapshots");

    public static async Task<ConformanceTarget> StartAsync(bool isOverlayfs)
    {
        SnapshotterUnderTest snapshotter = await SnapshotterUnderTest.StartAsync();
        return new ContainerdSocket(snapshotter, await ContainerdServer.StartAsync(new ContainerdServerOptions { SnapshotterAddress = snapshotter.SocketPath }), isOverlayfs);
    }

    public override async Task CloseTwiceAndReopenAsync()
    {
        await _containerd.RestartAsync();
        await _containerd.RestartAsync();
    }

    /// <summary>containerd removes from a snapshotter what its garbage collection has freed; one that a client can wait for comes with the removal of a lease.</summary>
    public override async Task CollectAsync()
    {
        string lease = (await _containerd.Ctr("--namespace", Namespace, "leases", "create")).Succeeded().Trim();
        (await _containerd.Ctr("--namespace", Namespace, "leases", "delete", "--sync", lease)).Succeeded();
    }

    public override async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _containerd.DisposeAsync();
        await _snapshotter.DisposeAsync();
    }
}
