using Google.Protobuf.WellKnownTypes;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Introspection;
using Starlight.Infrastructure.Containerd.Protocol.Namespaces;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.Containerd;

/// <summary>A containerd, by its socket. Connects at the first call, so containerd may start later than this.</summary>
public sealed class ContainerdRuntime : IContainerRuntime, IDisposable
{
    private const string SnapshotterPlugin = "io.containerd.snapshotter.v1";

    private readonly GrpcChannel _channel;

    /// <param name="address">Path of containerd's socket, e.g. <c>/run/containerd/containerd.sock</c>.</param>
    public ContainerdRuntime(string address) => _channel = GrpcChannel.ForUnixSocket(address, GrpcPeer.Containerd);

    public async Task<string> GetVersionAsync(CancellationToken cancellationToken) =>
        (await _channel.UnaryAsync(VersionMethods.Version, new Empty(), default, cancellationToken)).Version;

    public async Task RequireSnapshotterAsync(string name, CancellationToken cancellationToken)
    {
        // The plugin list is short (about 50); filtering here spares the quoting rules of containerd's filter language.
        PluginsResponse response = await _channel.UnaryAsync(IntrospectionMethods.Plugins, new PluginsRequest(), default, cancellationToken);
        Plugin? plugin = response.Plugins.FirstOrDefault(p => p.Type == SnapshotterPlugin && p.Id == name);
        if (plugin is null)
        {
            throw new FailureException(new Error(
                "Containerd.SnapshotterMissing",
                $"containerd at {_channel.Address} has no snapshotter '{name}': add [proxy_plugins.{name}] with type = \"snapshot\" and the daemon's address to its configuration and restart it",
                ErrorKind.FailedPrecondition));
        }

        if (plugin.InitErr is { Code: not 0 } failed)
        {
            throw new FailureException(new Error(
                "Containerd.SnapshotterFailed",
                $"containerd at {_channel.Address} could not load its snapshotter '{name}': {failed.Message}",
                ErrorKind.FailedPrecondition));
        }
    }

    public async Task<IReadOnlyList<string>> ListNamespacesAsync(CancellationToken cancellationToken)
    {
        ListNamespacesResponse response = await _channel.UnaryAsync(NamespacesMethods.List, new ListNamespacesRequest(), default, cancellationToken);
        return [.. response.Namespaces.Select(n => n.Name)];
    }

    /// <summary>The namespace as it is; containerd makes most things in namespaces it does not know, but tools list only those created.</summary>
    public ContainerdClient Namespace(string name) => new(_channel, name);

    public async Task<ContainerdClient> OpenNamespaceAsync(string name, CancellationToken cancellationToken)
    {
        ContainerdClient client = Namespace(name);
        await client.EnsureExistsAsync(cancellationToken);
        return client;
    }

    async Task<IContainerImages> IContainerRuntime.OpenNamespaceAsync(string name, CancellationToken cancellationToken) => await OpenNamespaceAsync(name, cancellationToken);

    public void Dispose() => _channel.Dispose();
}
