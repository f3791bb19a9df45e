using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Starlight.Application;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Contents;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Images;
using Starlight.Infrastructure.Pacing;
using Starlight.Infrastructure.Persistence;
using Starlight.Infrastructure.Registry;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Administration;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.Presentation.Proxy.Observability;
using Starlight.Presentation.Proxy.Orders;
using Starlight.Presentation.Proxy.Preparation;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Scanning;
using Starlight.Presentation.Proxy.Settings;
using Starlight.Presentation.Proxy.Transport;

namespace Starlight.Presentation.Proxy;

/// <summary>Composes the proxy from its adapters and serves it.</summary>
internal static class ProxyHost
{
    /// <summary>Daemons keep idle connections open on purpose, because they start at full speed. TCP's own keep-alive finds dead ones.</summary>
    private static readonly TimeSpan IdleConnection = TimeSpan.FromHours(1);

    /// <summary>
    /// Connections that take less than 240 bytes a second (Kestrel's own limit) are given up, but not because this machine is busy: handing over the head of an answer has been seen to
    /// take five seconds, Kestrel's own grace, on a machine with ten times more to do than it could.
    /// </summary>
    private static readonly MinDataRate SlowestReader = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromMinutes(1));

    public static async Task<int> RunAsync(ProxySettings settings, CancellationToken cancellationToken)
    {
        await using WebApplication app = Build(settings);
        await StartAsync(app, settings, cancellationToken);
        ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Starlight.Proxy");
        foreach (string note in settings.Notes.Concat(Exposure(settings)))
        {
            ProxyLog.Note(logger, note);
        }

        ProxyLog.Listening(logger, ProxyVersion.Text, AddressOf(app), settings.DataDirectory, settings.Registries.DefaultRegistry);
        return await StopAsync(app, settings, logger, cancellationToken);
    }

    internal static WebApplication Build(ProxySettings settings)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "starlight-proxy" });
        builder.Logging.AddLog(settings);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, settings));
        builder.Services.AddRoutingCore();
        builder.Services.Configure<Microsoft.Extensions.Hosting.HostOptions>(host => host.ShutdownTimeout = settings.ShutdownTimeout);
        builder.Services.AddSingleton<IConnectionListenerFactory>(services => Sockets(services, settings.CongestionControl, plainText: settings.Tls is null));
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddAccess(settings);
        builder.Services.AddObservability(settings);
        builder.Services
            .AddApplication()
            .AddImageTransports(settings.RegistryAccess)
            .AddLayerFormats(new LayerFormatOptions(ConversionCacheDirectory: Path.Combine(settings.DataDirectory, "conversions")))
            .AddFilesystemImages(settings.DataDirectory)
            .AddContents(settings.DataDirectory, settings.BundleCacheBytes, settings.StoreLimitBytes)
            .AddBackgroundPace()
            .AddPersistence(settings.Database)
            .AddScanner(settings);
        builder.Services.AddSingleton(settings.Registries);
        builder.Services.AddSingleton<BundleSource>();
        builder.Services.AddSingleton<HealthEndpoint>();
        builder.Services.AddScoped<NotifyEndpoint>();
        builder.Services.AddScoped<DeltaEndpoint>();
        builder.Services.AddScoped<ReportEndpoint>();
        builder.Services.AddScoped<OrderEndpoint>();
        builder.Services.AddScoped<ContentEndpoint>();
        builder.Services.AddSingleton(new AdminOptions(settings.GarbageGrace, LocalOnly: settings.AccountsPath is null));
        builder.Services.AddHostedService<GarbageCollection>();
        builder.Services.AddSingleton(new PreparationOptions(settings.PreparedBundles));
        builder.Services.AddHostedService<BundlePreparation>();

        WebApplication app = builder.Build();
        app.UseObservability();
        app.UseMiddleware<ProtocolMiddleware>();
        app.UseMiddleware<ProblemMiddleware>();
        app.UseRouting();
        app.UseAccess();
        app.UseScanner(settings);
        HealthEndpoint.Map(app);
        NotifyEndpoint.Map(app);
        DeltaEndpoint.Map(app);
        ReportEndpoint.Map(app);
        OrderEndpoint.Map(app);
        ContentEndpoint.Map(app);
        PrimeEndpoint.Map(app);
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

    /// <summary>Waits to be told to stop, then until every answer is out, the limit has passed, or somebody insists.</summary>
    private static async Task<int> StopAsync(WebApplication app, ProxySettings settings, ILogger logger, CancellationToken cancellationToken)
    {
        TaskCompletionSource stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration told = app.Lifetime.ApplicationStopping.Register(stopping.SetResult);
        await using CancellationTokenRegistration cancelled = cancellationToken.Register(app.Lifetime.StopApplication);
        using StopSignals signals = new(app.Lifetime.StopApplication);
        await stopping.Task;
        ProxyLog.Stopping(logger, settings.ShutdownTimeout.TotalSeconds);
        try
        {
            await app.StopAsync(signals.Second);
        }
        catch (Exception e) when (signals.Second.IsCancellationRequested && e is OperationCanceledException or AggregateException)
        {
            // What was being stopped says that it was not given the time.
        }

        if (!signals.Second.IsCancellationRequested)
        {
            return 0;
        }

        ProxyLog.Insisted(logger);
        return 1;
    }

    private static void Listen(KestrelServerOptions kestrel, ProxySettings settings)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.KeepAliveTimeout = IdleConnection;
        kestrel.Limits.MinResponseDataRate = SlowestReader;

        // Everything is in the query; a body has no meaning but for reports, which have a limit of their own.
        kestrel.Limits.MaxRequestBodySize = 64 << 10;
        kestrel.Limits.Http2.MaxStreamsPerConnection = 256;
        if (settings.Tls is { } tls)
        {
            ServerCertificate certificate = ActivatorUtilities.CreateInstance<ServerCertificate>(kestrel.ApplicationServices, tls.Certificate, tls.Key);
            kestrel.Listen(EndPointOf(settings), listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(certificate.Options) });
            });
            return;
        }

        kestrel.Listen(EndPointOf(settings), listen => listen.Protocols = HttpProtocols.Http1);
        kestrel.Listen(new PriorKnowledgeEndPoint(), listen => listen.Protocols = HttpProtocols.Http2);
    }

    /// <summary>What an operator should know about who can reach this proxy.</summary>
    private static IEnumerable<string> Exposure(ProxySettings settings)
    {
        if (IPAddress.TryParse(settings.Host, out IPAddress? address) ? IPAddress.IsLoopback(address) : settings.Host == "localhost")
        {
            yield break;
        }

        if (settings.AccountsPath is null)
        {
            yield return $"everybody who can reach {settings.Host}:{settings.Port} may pull, notify and administer: make accounts with 'starlight-proxy user add' and name the file with --accounts";
        }
        else if (settings.Tls is null)
        {
            yield return "passwords and tokens come in over plain HTTP: name a certificate with --tls-cert and --tls-key, or let a reverse proxy on this machine do TLS";
        }
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

    /// <param name="services">For the log.</param>
    /// <param name="congestionControl">See <see cref="CongestionControl"/>.</param>
    /// <param name="plainText">HTTP/2 is told apart by its preface; under TLS the handshake does that, and a plain-text connection must not get around it.</param>
    private static IConnectionListenerFactory Sockets(IServiceProvider services, string congestionControl, bool plainText)
    {
        ILoggerFactory logs = services.GetRequiredService<ILoggerFactory>();
        SocketTransportOptions options = new() { CreateBoundListenSocket = endpoint => CongestionControl.CreateListenSocket(endpoint, congestionControl, logs.CreateLogger("Starlight.Proxy")) };
        if (plainText)
        {
            options.MaxWriteBufferSize = FileSendingOutput.PipeBytes;
        }

        SocketTransportFactory sockets = new(Options.Create(options), logs);
        return plainText ? new Http2PriorKnowledge(sockets) : sockets;
    }
}
