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
        ContainerdServer containerd = await ContainerdServer.StartAsync(new ContainerdServerOptions { SnapshotterAddress = snapshotter.SocketPath });
        await containerd.ReachSnapshotterAsync();
        return new ContainerdSocket(snapshotter, containerd, isOverlayfs);
    }

    public override async Task CloseTwiceAndReopenAsync()
    {
        await _containerd.RestartAsync();
        await _containerd.RestartAsync();
        await _containerd.ReachSnapshotterAsync();
    }

    public override Task CollectAsync() => _containerd.CollectAsync();

    public override async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _containerd.DisposeAsync();
        await _snapshotter.DisposeAsync();
    }
}
