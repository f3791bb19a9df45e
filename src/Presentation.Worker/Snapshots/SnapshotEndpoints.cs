using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Starlight.Application.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Grpc;
using WireMount = Starlight.Infrastructure.Containerd.Protocol.Types.Mount;

namespace Starlight.Presentation.Worker.Snapshots;

/// <summary>
/// <c>containerd.services.snapshots.v1.Snapshots</c> on <see cref="SnapshotService"/>: strings become keys, failures become statuses. The request's snapshotter name is not
/// looked at: containerd has chosen this socket by it already, and passes on whatever the operator called the plugin.
/// </summary>
internal static class SnapshotEndpoints
{
    /// <summary>Snapshots per message of a List answer, as containerd's own service sends them (services/snapshots/service.go).</summary>
    private const int ListBlock = 100;

    public static IEndpointRouteBuilder MapSnapshots(this IEndpointRouteBuilder endpoints)
    {
        SnapshotService snapshots = endpoints.ServiceProvider.GetRequiredService<SnapshotService>();

        endpoints.MapGrpcUnary(SnapshotsMethods.Prepare, async (request, call) =>
        {
            var mounts = await snapshots.PrepareAsync(Key(request.Key), Parent(request.Parent), request.Labels.AsLabels(), call.CancellationToken);
            return new PrepareSnapshotResponse { Mounts = { ToWire(mounts.Value) } };
        });

        endpoints.MapGrpcUnary(SnapshotsMethods.View, async (request, call) =>
        {
            var mounts = await snapshots.ViewAsync(Key(request.Key), Parent(request.Parent), request.Labels.AsLabels(), call.CancellationToken);
            return new ViewSnapshotResponse { Mounts = { ToWire(mounts.Value) } };
        });

        endpoints.MapGrpcUnary(SnapshotsMethods.Mounts, async (request, call) =>
            new MountsResponse { Mounts = { ToWire((await snapshots.MountsAsync(Key(request.Key), call.CancellationToken)).Value) } });

        endpoints.MapGrpcUnary(SnapshotsMethods.Commit, async (request, call) =>
        {
            SnapshotKey name = SnapshotKey.Parse(request.Name, "name").Value;
            (await snapshots.CommitAsync(name, Key(request.Key), request.Labels.AsLabels(), call.CancellationToken)).ThrowIfFailure();
            return new Empty();
        });

        endpoints.MapGrpcUnary(SnapshotsMethods.Remove, async (request, call) =>
        {
            (await snapshots.RemoveAsync(Key(request.Key), call.CancellationToken)).ThrowIfFailure();
            return new Empty();
        });

        endpoints.MapGrpcUnary(SnapshotsMethods.Stat, (request, _) =>
            Task.FromResult(new StatSnapshotResponse { Info = ToWire(snapshots.Stat(Key(request.Key)).Value) }));

        endpoints.MapGrpcUnary(SnapshotsMethods.Update, async (request, call) =>
        {
            Info info = request.Info ?? new Info();
            IReadOnlyCollection<string> fieldPaths = request.UpdateMask?.Paths ?? (IReadOnlyCollection<string>)[];
            var updated = await snapshots.UpdateAsync(Key(info.Name), info.Labels.AsLabels(), fieldPaths, call.CancellationToken);
            return new UpdateSnapshotResponse { Info = ToWire(updated.Value) };
        });

        endpoints.MapGrpcServerStreaming(SnapshotsMethods.List, async (request, stream, _) =>
        {
            foreach (Snapshot[] block in snapshots.List(request.Filters).Value.Chunk(ListBlock))
            {
                await stream.WriteAsync(new ListSnapshotsResponse { Info = { block.Select(ToWire) } });
            }
        });

        endpoints.MapGrpcUnary(SnapshotsMethods.Usage, async (request, call) =>
        {
            SnapshotUsage usage = (await snapshots.UsageAsync(Key(request.Key), call.CancellationToken)).Value;
            return new UsageResponse { Size = usage.Size, Inodes = usage.Inodes };
        });

        endpoints.MapGrpcUnary(SnapshotsMethods.Cleanup, async (_, call) =>
        {
            await snapshots.CleanupAsync(call.CancellationToken);
            return new Empty();
        });

        return endpoints;
    }

    private static SnapshotKey Key(string text) => SnapshotKey.Parse(text).Value;

    private static SnapshotKey? Parent(string text) => SnapshotKey.ParseOptional(text, "parent").Value;

    private static IReadOnlyDictionary<string, string> AsLabels(this MapField<string, string> labels) => new Dictionary<string, string>(labels);

    private static IEnumerable<WireMount> ToWire(IReadOnlyList<SnapshotMount> mounts) =>
        mounts.Select(mount => new WireMount { Type = mount.Type, Source = mount.Source, Options = { mount.Options } });

    private static Info ToWire(Snapshot snapshot) => new()
    {
        Name = snapshot.Key.Value,
        Parent = snapshot.Parent?.Value ?? "",
        Kind = (Kind)snapshot.Kind,
        CreatedAt = snapshot.Created.ToTimestamp(),
        UpdatedAt = snapshot.Updated.ToTimestamp(),
        Labels = { new Dictionary<string, string>(snapshot.Labels) },
    };
}
