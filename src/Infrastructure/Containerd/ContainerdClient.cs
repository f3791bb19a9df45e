using Google.Protobuf;
using Google.Protobuf.Collections;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Namespaces;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.Containerd;

/// <summary>
/// containerd's services within one namespace. The namespace, and the lease of a <see cref="ContainerdLease"/>, travel as metadata with every call
/// (containerd, namespaces/grpc.go and leases/grpc.go). Safe for concurrent use; owns nothing.
/// </summary>
public partial class ContainerdClient : IContainerImages
{
    private const string NamespaceHeader = "containerd-namespace";
    private const string LeaseHeader = "containerd-lease";

    private readonly GrpcChannel _channel;
    private readonly GrpcCallOptions _options;
    private readonly string? _lease;

    internal ContainerdClient(GrpcChannel channel, string @namespace)
        : this(channel, @namespace, lease: null)
    {
    }

    private protected ContainerdClient(GrpcChannel channel, string @namespace, string? lease)
    {
        _channel = channel;
        _lease = lease;
        Namespace = @namespace;
        Dictionary<string, string> metadata = new(2, StringComparer.Ordinal) { [NamespaceHeader] = @namespace };
        if (lease is not null)
        {
            metadata[LeaseHeader] = lease;
        }

        _options = new GrpcCallOptions { Metadata = metadata };
    }

    public string Namespace { get; }

    /// <summary>
    /// Creates the namespace unless it exists. The call names it twice, since containerd publishes the event of its creation in the caller's namespace and fails without one.
    /// </summary>
    internal async Task EnsureExistsAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CallAsync(NamespacesMethods.Create, new CreateNamespaceRequest { Namespace = new Protocol.Namespaces.Namespace { Name = Namespace } }, cancellationToken);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.AlreadyExists)
        {
        }
    }

    private protected Task<TResponse> CallAsync<TRequest, TResponse>(GrpcMethod<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() => _channel.UnaryAsync(method, request, _options, cancellationToken);

    private IAsyncEnumerable<TResponse> StreamAsync<TRequest, TResponse>(GrpcMethod<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() => _channel.ServerStreamAsync(method, request, _options, cancellationToken);

    private static async Task<T?> OrNullIfNotFound<T>(Task<T> call)
        where T : class
    {
        try
        {
            return await call;
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.NotFound)
        {
            return null;
        }
    }

    private static void Add(MapField<string, string> target, IReadOnlyDictionary<string, string> labels)
    {
        foreach ((string key, string value) in labels)
        {
            target[key] = value;
        }
    }
}
