using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Infrastructure.Containerd.Protocol.Content;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.IntegrationTests.Grpc;

/// <summary>A gRPC server of one test's own on a unix socket, and a channel to it.</summary>
internal sealed class GrpcTestHost : IAsyncDisposable
{
    /// <summary>The methods tests map. The messages are containerd's: a string, a number, bytes and a map.</summary>
    public static readonly GrpcMethod<WriteContentRequest, WriteContentResponse> Method = new("test.Echo", "Call");

    private readonly DirectoryInfo _directory;
    private readonly UnixSocketListener _listener;
    private readonly WebApplication _application;

    private GrpcTestHost(DirectoryInfo directory, UnixSocketListener listener, WebApplication application)
    {
        _directory = directory;
        _listener = listener;
        _application = application;
        Channel = GrpcChannel.ForUnixSocket(listener.Path, GrpcPeer.Daemon);
    }

    public GrpcChannel Channel { get; }

    public string Address => _listener.Path;

    public static async Task<GrpcTestHost> StartAsync(Action<IEndpointRouteBuilder> map, GrpcServerLimits? limits = null)
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("starlight-grpc-");
        UnixSocketListener listener = UnixSocketListener.Bind(Path.Combine(directory.FullName, "test.sock"));
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseGrpcUnixSockets(listener);
        if (limits is not null)
        {
            builder.Services.AddSingleton(limits);
        }

        WebApplication application = builder.Build();
        map(application);
        application.MapGrpcUnimplemented();
        await application.StartAsync();
        return new GrpcTestHost(directory, listener, application);
    }

    /// <summary>Stops the server at once, as far as callers can tell: connections break.</summary>
    public async Task StopAsync()
    {
        using CancellationTokenSource now = new();
        await now.CancelAsync();
        await _application.StopAsync(now.Token);
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await StopAsync();
        await _application.DisposeAsync();
        _listener.Dispose();
        _directory.Delete(recursive: true);
    }
}
