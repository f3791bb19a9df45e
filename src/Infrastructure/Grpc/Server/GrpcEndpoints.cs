using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// Maps gRPC methods onto endpoints. Handlers fail by throwing <see cref="Domain.SharedKernel.FailureException"/>; its kind becomes the status (<see cref="GrpcStatusMap"/>) and
/// its code the trailer <c>starlight-error-code</c>. They end early when <see cref="GrpcCallContext.CancellationToken"/> fires.
/// </summary>
public static class GrpcEndpoints
{
    /// <summary>One request message, one response message.</summary>
    public static IEndpointRouteBuilder MapGrpcUnary<TRequest, TResponse>(
        this IEndpointRouteBuilder endpoints, GrpcMethod<TRequest, TResponse> method, Func<TRequest, GrpcCallContext, Task<TResponse>> handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        Map(endpoints, method.Path, async call =>
        {
            TRequest request = await call.ReadSingleAsync(GrpcMethod<TRequest, TResponse>.RequestParser);
            call.Append(await handler(request, call.Context));
        });

    /// <summary>One request message, any number of response messages.</summary>
    public static IEndpointRouteBuilder MapGrpcServerStreaming<TRequest, TResponse>(
        this IEndpointRouteBuilder endpoints, GrpcMethod<TRequest, TResponse> method, Func<TRequest, GrpcServerStream<TResponse>, GrpcCallContext, Task> handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        Map(endpoints, method.Path, async call =>
        {
            TRequest request = await call.ReadSingleAsync(GrpcMethod<TRequest, TResponse>.RequestParser);
            await handler(request, new GrpcServerStream<TResponse>(call), call.Context);
        });

    /// <summary>Any number of request messages, then one response message.</summary>
    public static IEndpointRouteBuilder MapGrpcClientStreaming<TRequest, TResponse>(
        this IEndpointRouteBuilder endpoints, GrpcMethod<TRequest, TResponse> method, Func<IAsyncEnumerable<TRequest>, GrpcCallContext, Task<TResponse>> handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        Map(endpoints, method.Path, async call =>
            call.Append(await handler(call.ReadAllAsync(GrpcMethod<TRequest, TResponse>.RequestParser), call.Context)));

    /// <summary>Requests and responses in any order.</summary>
    public static IEndpointRouteBuilder MapGrpcDuplex<TRequest, TResponse>(
        this IEndpointRouteBuilder endpoints,
        GrpcMethod<TRequest, TResponse> method,
        Func<IAsyncEnumerable<TRequest>, GrpcServerStream<TResponse>, GrpcCallContext, Task> handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        Map(endpoints, method.Path, call =>
            handler(call.ReadAllAsync(GrpcMethod<TRequest, TResponse>.RequestParser), new GrpcServerStream<TResponse>(call), call.Context));

    /// <summary>
    /// Answers every other gRPC call with UNIMPLEMENTED, which containerd treats as "this snapshotter lacks an optional method"; without it the answer would be a bare 404.
    /// Map it once, after all services.
    /// </summary>
    public static IEndpointRouteBuilder MapGrpcUnimplemented(this IEndpointRouteBuilder endpoints)
    {
        (GrpcServerLimits limits, ILogger logger) = Resolve(endpoints);
        endpoints.MapFallback("{**path}", http => GrpcServerCall.RunAsync(http, limits, logger, call =>
        {
            GrpcLog.Unimplemented(logger, http.Request.Path);
            throw new GrpcWireException(GrpcStatusCode.Unimplemented, "Grpc.UnknownMethod", $"no method {http.Request.Path}");
        }));
        return endpoints;
    }

    private static IEndpointRouteBuilder Map(IEndpointRouteBuilder endpoints, string path, Func<GrpcServerCall, Task> body)
    {
        (GrpcServerLimits limits, ILogger logger) = Resolve(endpoints);
        endpoints.MapPost(path, (RequestDelegate)(http => GrpcServerCall.RunAsync(http, limits, logger, body)));
        return endpoints;
    }

    private static (GrpcServerLimits Limits, ILogger Logger) Resolve(IEndpointRouteBuilder endpoints) => (
        endpoints.ServiceProvider.GetService<GrpcServerLimits>() ?? new GrpcServerLimits(),
        endpoints.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger("Starlight.Grpc"));
}
