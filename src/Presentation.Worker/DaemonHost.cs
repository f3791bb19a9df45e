using Starlight.Application;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.OnDemand;
using Starlight.Application.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.ProxyClient;
using Starlight.Infrastructure.Snapshots;
using Starlight.Infrastructure.WorkerImages;
using Starlight.Presentation.Worker.Configuration;
using Starlight.Presentation.Worker.Daemon;
using Starlight.Presentation.Worker.Reporting;
using Starlight.Presentation.Worker.Snapshots;

namespace Starlight.Presentation.Worker;

/// <summary>Puts the daemon together: one Kestrel on two unix sockets, everything else behind doors named <c>Add…</c>.</summary>
internal static partial class DaemonHost
{
    public static async Task<int> RunAsync(DaemonSettings settings, DaemonConfigFile config, CancellationToken cancellationToken)
    {
        // Claimed first: whoever else runs on these sockets must be noticed before anything is touched.
        using UnixSocketListener snapshotter = UnixSocketListener.Bind(settings.SnapshotterSocket);
        using UnixSocketListener daemon = UnixSocketListener.Bind(settings.DaemonSocket);
        WorkerLayout layout = new(settings.FsRoot);
        RequireUsable(layout.Root);
        MountCapabilities capabilities = KernelCapabilities.Find(layout.ScratchDirectory, settings.Mounts);

        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddSimpleConsole(o => { o.SingleLine = true; o.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffzzz "; }).SetMinimumLevel(LevelOf(settings.LogLevel));
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        builder.WebHost.UseGrpcUnixSockets(snapshotter, daemon);
        builder.Services.AddSingleton(settings);
        builder.Services.AddSingleton<IProxyProfiles>(config);
        builder.Services.AddSingleton(DaemonFacts.Of(capabilities));
        builder.Services.AddApplication();
        builder.Services.AddFilesystemImages();
        builder.Services.AddProxyClient(settings.Id, settings.ProxyStripes).AddWarmConnections(settings.ProxyConnections);
        builder.Services.AddContainerd(settings.ContainerdSocket);
        builder.Services.AddWorkerImages(layout, capabilities, settings.ReportStalls);
        builder.Services.AddOnDemandImages();
        builder.Services.AddSnapshots(layout.SnapshotsDirectory, settings.MetadataPath);
        builder.Services.AddScoped<DaemonService>();
        builder.Services.AddScoped<OptimizerService>();
        builder.Services.AddHostedService<UnaskedReports>();

        await using WebApplication app = builder.Build();

        // First, because it takes a dozen round trips, in the background: whoever pulls right after the start finds a connection that knows the line a little.
        app.Services.GetRequiredService<WarmConnections>().Start();
        app.MapSnapshots();
        DaemonService.Map(app);
        OptimizerService.Map(app);
        app.MapGrpcUnimplemented();
        ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Starlight.Daemon");
        if (config.File.Others is { Count: > 0 } others)
        {
            LogUnknownKeys(logger, settings.ConfigPath, string.Join(", ", others.Keys));
        }

        foreach (MountFinding finding in capabilities.Findings)
        {
            LogFinding(logger, finding.ToString());
        }

        // Before anyone can ask: no pull outlives the daemon, so an image without a snapshot is one that the last daemon died over.
        await app.Services.GetRequiredService<SnapshotService>().ReclaimAsync(TimeSpan.Zero, cancellationToken);

        app.Services.GetRequiredService<ImageLibrary>().ResumeInterrupted(app.Services.GetRequiredService<ChainFetch>().BeginAsync);
        await app.StartAsync(cancellationToken);
        LogStarted(logger, settings.SnapshotterSocket, settings.DaemonSocket, settings.FsRoot, capabilities.Description);
        await app.WaitForShutdownAsync(cancellationToken);
        return 0;
    }

    /// <summary>Before anything is tried in it: what is wrong with the directory is said in one line.</summary>
    private static void RequireUsable(string root)
    {
        if (root.AsSpan().ContainsAny(':', ',', '\\'))
        {
            throw new FailureException(new Error("Config.FsRootNotMountable", $"fs_root {root} contains ':', ',' or '\\', which overlayfs allows in no path: choose another directory", ErrorKind.InvalidInput));
        }

        try
        {
            Directory.CreateDirectory(root);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(new Error("Config.FsRootUnusable", $"fs_root {root} cannot be used: {e.Message}", ErrorKind.FailedPrecondition), e);
        }
    }

    private static LogLevel LevelOf(string text) => text.ToLowerInvariant() switch
    {
        "trace" => LogLevel.Trace,
        "debug" => LogLevel.Debug,
        "info" or "information" => LogLevel.Information,
        "warn" or "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        "fatal" or "critical" => LogLevel.Critical,
        _ => throw new FailureException(new Error("Config.LogLevel", $"'{text}' is not a log level: use trace, debug, info, warn, error or fatal", ErrorKind.InvalidInput)),
    };

    [LoggerMessage(Level = LogLevel.Information, Message = "ready: snapshotter {SnapshotterSocket}, commands {DaemonSocket}, store {FsRoot}, mount mode {MountMode}")]
    private static partial void LogStarted(ILogger logger, string snapshotterSocket, string daemonSocket, string fsRoot, string mountMode);

    [LoggerMessage(Level = LogLevel.Warning, Message = "keys in {Path} that this version does not know are ignored: {Keys}")]
    private static partial void LogUnknownKeys(ILogger logger, string path, string keys);

    [LoggerMessage(Level = LogLevel.Information, Message = "mounts: {Finding}")]
    private static partial void LogFinding(ILogger logger, string finding);
}
