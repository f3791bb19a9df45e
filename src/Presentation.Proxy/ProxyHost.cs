using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Starlight.Application;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Contents;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Images;
using Starlight.Infrastructure.Persistence;
using Starlight.Infrastructure.Registry;
using Starlight.Presentation.Proxy.Administration;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Settings;
using Starlight.Presentation.Proxy.Transport;

namespace Starlight.Presentation.Proxy;

/// <summary>Composes the proxy from its adapters and serves it.</summary>
internal static class ProxyHost
{
    /// <summary>Running answers get so long to finish when the proxy is told to stop; clients resume what was cut off.</summary>
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Daemons keep idle connections open on purpose, because they start at full speed. TCP's own keep-alive finds dead ones.</summary>
    private static readonly TimeSpan IdleConnection = TimeSpan.FromHours(1);

    public static async Task<int> RunAsync(ProxySettings settings, CancellationToken cancellationToken)
    {
        await using WebApplication app = Build(settings);
        await StartAsync(app, settings, cancellationToken);
        ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Starlight.Proxy");
        foreach (string note in settings.Notes)
        {
            ProxyLog.Note(logger, note);
        }

        ProxyLog.Listening(logger, ProxyVersion.Text, AddressOf(app), settings.DataDirectory, settings.Registries.DefaultRegistry);
        await app.WaitForShutdownAsync(cancellationToken);
        return 0;
    }

    internal static WebApplication Build(ProxySettings settings)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "starlight-proxy" });
        builder.Logging.SetMinimumLevel(settings.LogLevel)
            .AddFilter("Microsoft", settings.LogLevel > LogLevel.Warning ? settings.LogLevel : LogLevel.Warning)
            // It repeats start-up failures with their stack; the command prints them as one line.
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None)
            .AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.UseUtcTimestamp = true;
                console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
            });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, settings));
        builder.Services.AddRoutingCore();
        builder.Services.Configure<Microsoft.Extensions.Hosting.HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        builder.Services.AddSingleton<IConnectionListenerFactory>(Sockets);
        builder.Services
            .AddApplication()
            .AddImageTransports(new RegistryOptions { DefaultRegistry = settings.Registries.DefaultRegistry })
            .AddLayerFormats()
            .AddFilesystemImages()
            .AddContents(settings.DataDirectory, settings.BundleCacheBytes, settings.StoreLimitBytes)
            .AddPersistence(settings.Database);
        builder.Services.AddSingleton(settings.Registries);
        builder.Services.AddSingleton<BundleSource>();
        builder.Services.AddScoped<NotifyEndpoint>();
        builder.Services.AddScoped<DeltaEndpoint>();
        builder.Services.AddSingleton(new GarbageSchedule(settings.GarbageGrace));
        builder.Services.AddHostedService<GarbageCollection>();

        WebApplication app = builder.Build();
        app.UseMiddleware<ProtocolMiddleware>();
        app.UseMiddleware<ProblemMiddleware>();
        app.UseRouting();
        HealthEndpoint.Map(app);
        NotifyEndpoint.Map(app);
        DeltaEndpoint.Map(app);
        AdminEndpoints.Map(app);
        return app;
    }

    /// <summary>Where the proxy can be reached, e.g. <c>http://0.0.0.0:8090</c>.</summary>
    internal static string AddressOf(WebApplication app) =>
        app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First(a => !a.EndsWith("h2c", StringComparison.Ordinal));

    private static async Task StartAsync(WebApplication app, ProxySettings settings, CancellationToken cancellationToken)
    {
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new FailureException(new Error("Proxy.CannotListen", $"cannot listen on {settings.Host}:{settings.Port}: {e.Message}", ErrorKind.Unavailable), e);
        }
    }

    private static void Listen(KestrelServerOptions kestrel, ProxySettings settings)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.KeepAliveTimeout = IdleConnection;

        // Everything is in the query; a body has no meaning here.
        kestrel.Limits.MaxRequestBodySize = 64 << 10;
        kestrel.Limits.Http2.MaxStreamsPerConnection = 256;
        kestrel.Listen(EndPointOf(settings), listen => listen.Protocols = HttpProtocols.Http1);
        kestrel.Listen(new PriorKnowledgeEndPoint(), listen => listen.Protocols = HttpProtocols.Http2);
    }

    private static EndPoint EndPointOf(ProxySettings settings)
    {
        if (IPAddress.TryParse(settings.Host, out IPAddress? address))
        {
            return new IPEndPoint(address, settings.Port);
        }

        try
        {
            return new IPEndPoint(settings.Host == "*" ? IPAddress.IPv6Any : Dns.GetHostAddresses(settings.Host)[0], settings.Port);
        }
        catch (SocketException e)
        {
            throw new FailureException(new Error("Config.Malformed", $"'{settings.Host}' is not an address to listen on: {e.Message}", ErrorKind.InvalidInput), e);
        }
    }

    private static Http2PriorKnowledge Sockets(IServiceProvider services)
    {
        ILoggerFactory logs = services.GetRequiredService<ILoggerFactory>();
        SocketTransportOptions options = new() { CreateBoundListenSocket = endpoint => CongestionControl.CreateListenSocket(endpoint, logs.CreateLogger("Starlight.Proxy")) };
        return new Http2PriorKnowledge(new SocketTransportFactory(Options.Create(options), logs));
    }
}
