using System.Collections.Concurrent;
using Google.Protobuf.WellKnownTypes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Grpc;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Containerd;

/// <summary>
/// Our gRPC server as a proxy snapshotter behind a real containerd. What containerd 1.6's metadata layer (metadata/snapshot.go) does when a client calls
/// <c>Prepare(key, parent, labels)</c> with the label <c>containerd.io/snapshot.ref = T</c> (T is the chain ID of the layer):
/// <list type="number">
/// <item>If it has a snapshot T in this namespace, it answers ALREADY_EXISTS itself; the backend is not asked, and a lease is not extended to T.</item>
/// <item>It calls the backend's Prepare. Key and parent are its own names for them, <c>NAMESPACE/SEQUENCE/KEY</c>, unique across namespaces. Of the labels it passes on only
/// <c>containerd.io/snapshot.ref</c> and those that begin with <c>containerd.io/snapshot/</c>.</item>
/// <item>On ALREADY_EXISTS it calls the backend's List with the filter <c>labels."containerd.io/snapshot.ref"==T,parent=="BACKEND-PARENT"</c> and takes the first snapshot that
/// is COMMITTED, has the label with value T, and whose parent is, byte for byte, the parent passed to Prepare. Filters may be ignored by the backend: it checks again.
/// If there is none, the client gets NOT_FOUND.</item>
/// <item>It records T as a name for that snapshot (of whatever backend name), with the snapshot's times and labels, puts it under the caller's lease, and answers the client
/// ALREADY_EXISTS. From then on Stat(T), Mounts, Remove … arrive with the backend name.</item>
/// <item>ALREADY_EXISTS without the label is turned into UNKNOWN: the key was fresh, so it cannot exist.</item>
/// </list>
/// At every garbage collection it calls List without a filter, and Remove, children first, for each snapshot that no namespace has a name for (FAILED_PRECONDITION is tolerated,
/// any other error ends the collection); then Cleanup, where UNIMPLEMENTED is fine. So a backend may not list what containerd has not been told of and it means to keep.
/// </summary>
public sealed class ProxySnapshotterTests
{
    private const string Starlight = "starlight";
    private const string SnapshotRef = "containerd.io/snapshot.ref";

    [Fact]
    public async Task PrepareRemoteSnapshot_WhenTheProxySnapshotterProvidesTheLayers_ContainerdKnowsTheChain()
    {
        await using Harness harness = await Harness.StartAsync();
        ContainerdClient client = await harness.Runtime.OpenNamespaceAsync("default", CancellationToken.None);
        await using ContainerdLease lease = await client.BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        Dictionary<string, string> labels = new(StringComparer.Ordinal) { ["containerd.io/snapshot/starlight.image"] = "redis", ["dropped"] = "on the way" };

        // 1. Two layers, provided without content.
        (await lease.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Starlight, "sha256:one", null, labels), CancellationToken.None)).ShouldBeTrue();
        (await lease.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Starlight, "sha256:two", "sha256:one", labels), CancellationToken.None)).ShouldBeTrue();

        // 2. containerd knows them by chain ID, and the backend got its own names and the inheritable labels.
        Info two = (await client.StatAsync(Starlight, "sha256:two", CancellationToken.None))!;
        two.Kind.ShouldBe(Kind.Committed);
        two.Parent.ShouldBe("sha256:one");
        two.Labels["dropped"].ShouldBe("on the way");
        Info backend = harness.Snapshotter.Snapshots.Values.Single(s => s.Labels[SnapshotRef] == "sha256:two");
        backend.Parent.ShouldStartWith("default/");
        backend.Labels["containerd.io/snapshot/starlight.image"].ShouldBe("redis");
        backend.Labels.ShouldNotContainKey("dropped");
        harness.Snapshotter.Filters.ShouldContain($"labels.\"{SnapshotRef}\"==sha256:two,parent==\"{backend.Parent}\"");

        // 3. Again: true, without asking the backend to prepare.
        int prepares = harness.Snapshotter.Prepares;
        (await lease.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Starlight, "sha256:two", "sha256:one", labels), CancellationToken.None)).ShouldBeTrue();
        harness.Snapshotter.Prepares.ShouldBe(prepares);

        // 4. A container's snapshot on top gets its mounts from the backend.
        IReadOnlyList<Protocol> mounts = [.. (await lease.PrepareAsync(Starlight, "container", "sha256:two", Blob.NoLabels, CancellationToken.None)).Select(m => new Protocol(m.Type, m.Source))];
        mounts.ShouldBe([new Protocol("bind", "/from-the-backend")]);
        (await harness.Server.Ctr("snapshots", "--snapshotter", Starlight, "ls")).Succeeded().ShouldContain("sha256:two");
    }

    [Fact]
    public async Task PrepareRemoteSnapshot_WhenTheBackendListsNoSuchSnapshot_IsNotFound()
    {
        await using Harness harness = await Harness.StartAsync();
        harness.Snapshotter.ForgetsWhatItCommits = true;
        ContainerdClient client = await harness.Runtime.OpenNamespaceAsync("default", CancellationToken.None);

        FailureException failure = await Should.ThrowAsync<FailureException>(
            () => client.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Starlight, "sha256:one", null, Blob.NoLabels), CancellationToken.None));

        failure.Error.Kind.ShouldBe(ErrorKind.NotFound);
    }

    [Fact]
    public async Task Collection_WhenALeaseEnds_RemovesChildrenFirstAndToleratesAMissingCleanup()
    {
        await using Harness harness = await Harness.StartAsync();
        ContainerdClient client = await harness.Runtime.OpenNamespaceAsync("default", CancellationToken.None);
        ContainerdLease lease = await client.BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        await lease.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Starlight, "sha256:one", null, Blob.NoLabels), CancellationToken.None);
        await lease.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Starlight, "sha256:two", "sha256:one", Blob.NoLabels), CancellationToken.None);

        await lease.DeleteAsync(collect: true, CancellationToken.None);

        harness.Snapshotter.Snapshots.ShouldBeEmpty();
        harness.Snapshotter.Removed.ShouldBe(["sha256:two", "sha256:one"]);
        (await client.StatAsync(Starlight, "sha256:one", CancellationToken.None)).ShouldBeNull();
        harness.Server.Log.ShouldNotContain("level=error");
    }

    [Fact]
    public async Task FoundSnapshot_WhenPreparedAgainUnderAnotherLease_IsKeptByThat()
    {
        await using Harness harness = await Harness.StartAsync();
        ContainerdClient client = await harness.Runtime.OpenNamespaceAsync("default", CancellationToken.None);
        ContainerdLease first = await client.BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        await using ContainerdLease second = await client.BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        RemoteSnapshot snapshot = new(Starlight, "sha256:one", null, Blob.NoLabels);
        await first.PrepareRemoteSnapshotAsync(snapshot, CancellationToken.None);
        await second.PrepareRemoteSnapshotAsync(snapshot, CancellationToken.None);

        await first.DeleteAsync(collect: true, CancellationToken.None);

        (await client.StatAsync(Starlight, "sha256:one", CancellationToken.None)).ShouldNotBeNull();
    }

    [Fact]
    public async Task RequireSnapshotter_WhenTheProxyPluginIsConfigured_Succeeds()
    {
        await using Harness harness = await Harness.StartAsync();

        await harness.Runtime.RequireSnapshotterAsync(Starlight, CancellationToken.None);
    }

    private sealed record Protocol(string Type, string Source);

    /// <summary>The smallest snapshotter that provides every layer offered to it.</summary>
    private sealed class MinimalSnapshotter
    {
        public ConcurrentDictionary<string, Info> Snapshots { get; } = new(StringComparer.Ordinal);

        public ConcurrentQueue<string> Filters { get; } = new();

        public ConcurrentQueue<string> Removed { get; } = new();

        public int Prepares { get; private set; }

        public bool ForgetsWhatItCommits { get; set; }

        public void Map(IEndpointRouteBuilder app) => app
            .MapGrpcUnary(SnapshotsMethods.Prepare, (request, _) => Task.FromResult(Prepare(request)))
            .MapGrpcUnary(SnapshotsMethods.Stat, (request, _) => Task.FromResult(new StatSnapshotResponse { Info = Find(request.Key) }))
            .MapGrpcUnary(SnapshotsMethods.Remove, (request, _) => Task.FromResult(Remove(request.Key)))
            .MapGrpcServerStreaming(SnapshotsMethods.List, async (request, stream, _) =>
            {
                foreach (string filter in request.Filters)
                {
                    Filters.Enqueue(filter);
                }

                await stream.WriteAsync(new ListSnapshotsResponse { Info = { Snapshots.Values } });
            })
            .MapGrpcUnimplemented();

        private PrepareSnapshotResponse Prepare(PrepareSnapshotRequest request)
        {
            Prepares++;
            Timestamp now = Timestamp.FromDateTime(DateTime.UtcNow);
            Info info = new() { Name = request.Key, Parent = request.Parent, Kind = Kind.Active, CreatedAt = now, UpdatedAt = now, Labels = { request.Labels } };
            if (!request.Labels.ContainsKey(SnapshotRef))
            {
                Snapshots[info.Name] = info;
                return new PrepareSnapshotResponse { Mounts = { new Infrastructure.Containerd.Protocol.Types.Mount { Type = "bind", Source = "/from-the-backend" } } };
            }

            info.Kind = Kind.Committed;
            if (!ForgetsWhatItCommits)
            {
                Snapshots[info.Name] = info;
            }

            throw new FailureException(new Error("Snapshot.Provided", "the layer is provided", ErrorKind.AlreadyExists));
        }

        private Info Find(string key) =>
            Snapshots.TryGetValue(key, out Info? info) ? info : throw new FailureException(new Error("Snapshot.NotFound", $"no snapshot {key}", ErrorKind.NotFound));

        private Empty Remove(string key)
        {
            Removed.Enqueue(Find(key).Labels[SnapshotRef]);
            Snapshots.TryRemove(key, out _);
            return new Empty();
        }
    }

    private sealed class Harness : IAsyncDisposable
    {
        private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("starlight-snap-");
        private readonly UnixSocketListener _listener;
        private readonly WebApplication _application;
        private ContainerdServer? _server;
        private ContainerdRuntime? _runtime;

        private Harness()
        {
            _listener = UnixSocketListener.Bind(Path.Combine(_directory.FullName, "snapshotter.sock"));
            WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseGrpcUnixSockets(_listener);
            _application = builder.Build();
            Snapshotter.Map(_application);
        }

        public MinimalSnapshotter Snapshotter { get; } = new();

        public ContainerdServer Server => _server!;

        public ContainerdRuntime Runtime => _runtime!;

        public static async Task<Harness> StartAsync()
        {
            Harness harness = new();
            await harness._application.StartAsync();
            harness._server = await ContainerdServer.StartAsync(new ContainerdServerOptions { SnapshotterAddress = harness._listener.Path });
            harness._runtime = new ContainerdRuntime(harness._server.Address);
            return harness;
        }

        public async ValueTask DisposeAsync()
        {
            _runtime?.Dispose();
            if (_server is not null)
            {
                await _server.DisposeAsync();
            }

            await _application.DisposeAsync();
            _listener.Dispose();
            _directory.Delete(recursive: true);
        }
    }
}
