using Starlight.Infrastructure.Grpc.Protocol;

namespace Starlight.Infrastructure.Grpc;

/// <summary>The service <c>api.Daemon</c> (protos/daemon.proto).</summary>
public static class DaemonMethods
{
    private const string Service = "api.Daemon";

    public static readonly GrpcMethod<GetVersionRequest, GetVersionResponse> GetVersion = new(Service, "GetVersion");
    public static readonly GrpcMethod<PingTestRequest, PingTestResponse> PingTest = new(Service, "PingTest");
    public static readonly GrpcMethod<AddProxyProfileRequest, AddProxyProfileResponse> AddProxyProfile = new(Service, "AddProxyProfile");
    public static readonly GrpcMethod<GetProxyProfilesRequest, GetProxyProfilesResponse> GetProxyProfiles = new(Service, "GetProxyProfiles");
    /// <summary>Server streaming.</summary>
    public static readonly GrpcMethod<NotifyProxyRequest, NotifyProgress> NotifyProxy = new(Service, "NotifyProxy");

    /// <summary>Server streaming.</summary>
    public static readonly GrpcMethod<PullImageRequest, PullProgress> PullImage = new(Service, "PullImage");

    public static readonly GrpcMethod<SetOptimizerRequest, OptimizerState> SetOptimizer = new(Service, "SetOptimizer");
    public static readonly GrpcMethod<GetOptimizerStateRequest, OptimizerState> GetOptimizerState = new(Service, "GetOptimizerState");
    public static readonly GrpcMethod<ReportTracesRequest, ReportTracesResponse> ReportTraces = new(Service, "ReportTraces");
    public static readonly GrpcMethod<GetOrderRequest, GetOrderResponse> GetOrder = new(Service, "GetOrder");
}
