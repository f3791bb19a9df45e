using Google.Protobuf.WellKnownTypes;
using Starlight.Infrastructure.Containerd.Protocol.Content;
using Starlight.Infrastructure.Containerd.Protocol.Images;
using Starlight.Infrastructure.Containerd.Protocol.Introspection;
using Starlight.Infrastructure.Containerd.Protocol.Leases;
using Starlight.Infrastructure.Containerd.Protocol.Namespaces;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Containerd.Protocol.Version;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.Containerd;

/// <summary><c>containerd.services.snapshots.v1.Snapshots</c>: what the worker serves to containerd, and containerd to its clients.</summary>
public static class SnapshotsMethods
{
    private const string Service = "containerd.services.snapshots.v1.Snapshots";

    public static readonly GrpcMethod<PrepareSnapshotRequest, PrepareSnapshotResponse> Prepare = new(Service, "Prepare");
    public static readonly GrpcMethod<ViewSnapshotRequest, ViewSnapshotResponse> View = new(Service, "View");
    public static readonly GrpcMethod<MountsRequest, MountsResponse> Mounts = new(Service, "Mounts");
    public static readonly GrpcMethod<CommitSnapshotRequest, Empty> Commit = new(Service, "Commit");
    public static readonly GrpcMethod<RemoveSnapshotRequest, Empty> Remove = new(Service, "Remove");
    public static readonly GrpcMethod<StatSnapshotRequest, StatSnapshotResponse> Stat = new(Service, "Stat");
    public static readonly GrpcMethod<UpdateSnapshotRequest, UpdateSnapshotResponse> Update = new(Service, "Update");

    /// <summary>Server streaming.</summary>
    public static readonly GrpcMethod<ListSnapshotsRequest, ListSnapshotsResponse> List = new(Service, "List");

    public static readonly GrpcMethod<UsageRequest, UsageResponse> Usage = new(Service, "Usage");
    public static readonly GrpcMethod<CleanupRequest, Empty> Cleanup = new(Service, "Cleanup");
}

internal static class ContentMethods
{
    private const string Service = "containerd.services.content.v1.Content";

    public static readonly GrpcMethod<InfoRequest, InfoResponse> Info = new(Service, "Info");
    public static readonly GrpcMethod<UpdateRequest, UpdateResponse> Update = new(Service, "Update");

    /// <summary>Server streaming.</summary>
    public static readonly GrpcMethod<ListContentRequest, ListContentResponse> List = new(Service, "List");

    public static readonly GrpcMethod<DeleteContentRequest, Empty> Delete = new(Service, "Delete");

    /// <summary>Server streaming.</summary>
    public static readonly GrpcMethod<ReadContentRequest, ReadContentResponse> Read = new(Service, "Read");

    /// <summary>Bidirectional.</summary>
    public static readonly GrpcMethod<WriteContentRequest, WriteContentResponse> Write = new(Service, "Write");

    public static readonly GrpcMethod<AbortRequest, Empty> Abort = new(Service, "Abort");
}

internal static class ImagesMethods
{
    private const string Service = "containerd.services.images.v1.Images";

    public static readonly GrpcMethod<GetImageRequest, GetImageResponse> Get = new(Service, "Get");
    public static readonly GrpcMethod<ListImagesRequest, ListImagesResponse> List = new(Service, "List");
    public static readonly GrpcMethod<CreateImageRequest, CreateImageResponse> Create = new(Service, "Create");
    public static readonly GrpcMethod<UpdateImageRequest, UpdateImageResponse> Update = new(Service, "Update");
    public static readonly GrpcMethod<DeleteImageRequest, Empty> Delete = new(Service, "Delete");
}

internal static class LeasesMethods
{
    private const string Service = "containerd.services.leases.v1.Leases";

    public static readonly GrpcMethod<CreateRequest, CreateResponse> Create = new(Service, "Create");
    public static readonly GrpcMethod<DeleteRequest, Empty> Delete = new(Service, "Delete");
    public static readonly GrpcMethod<ListRequest, ListResponse> List = new(Service, "List");
    public static readonly GrpcMethod<AddResourceRequest, Empty> AddResource = new(Service, "AddResource");
    public static readonly GrpcMethod<ListResourcesRequest, ListResourcesResponse> ListResources = new(Service, "ListResources");
}

internal static class NamespacesMethods
{
    private const string Service = "containerd.services.namespaces.v1.Namespaces";

    public static readonly GrpcMethod<GetNamespaceRequest, GetNamespaceResponse> Get = new(Service, "Get");
    public static readonly GrpcMethod<ListNamespacesRequest, ListNamespacesResponse> List = new(Service, "List");
    public static readonly GrpcMethod<CreateNamespaceRequest, CreateNamespaceResponse> Create = new(Service, "Create");
}

internal static class VersionMethods
{
    public static readonly GrpcMethod<Empty, VersionResponse> Version = new("containerd.services.version.v1.Version", "Version");
}

internal static class IntrospectionMethods
{
    public static readonly GrpcMethod<PluginsRequest, PluginsResponse> Plugins = new("containerd.services.introspection.v1.Introspection", "Plugins");
}
