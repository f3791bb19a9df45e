using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Snapshots;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Snapshots;

public static partial class SnapshotRegistration
{
    /// <summary>
    /// The snapshotter with its records and directories below <paramref name="root"/>, or the records in <paramref name="database"/>. Needs an <see cref="IProvidedImages"/>. Opening happens when it is first asked for, and
    /// fails then (another daemon on the same root, a path that cannot be mounted); leftovers of a crash are deleted in the background once the host runs.
    /// </summary>
    public static IServiceCollection AddSnapshots(this IServiceCollection services, string root, string? database = null)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<ISnapshotDirectories>(_ => SnapshotDirectories.Open(root));
        services.AddSingleton<ISnapshotStore>(provider =>
        {
            provider.GetRequiredService<ISnapshotDirectories>(); // makes the root
            return SqliteSnapshotStore.Open(root, database);
        });
        services.AddSingleton<SnapshotService>();
        return services.AddHostedService<SnapshotHousekeeping>();
    }

    /// <summary>At start: what a crash left on disk. Then, now and then: images whose pull was given up. What fails is tried again later: a full disk must not end the daemon.</summary>
    private sealed partial class SnapshotHousekeeping(SnapshotService snapshots, TimeProvider time, ILogger<SnapshotService> logger) : BackgroundService
    {
        /// <summary>
        /// Between the arrival of an image and the commit of its top layer lie a few calls of containerd, most of them about its layers. An image that nobody asked about for so
        /// long is not being pulled any more. Arbitrary; being wrong costs a second pull.
        /// </summary>
        private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(2);

        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            await Task.Yield(); // deleting may take long, and nothing waits for it
            await TryAsync(snapshots.CleanupAsync, stoppingToken);
            using PeriodicTimer timer = new(Quiet, time);
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await TryAsync(token => snapshots.ReclaimAsync(Quiet, token), stoppingToken);
            }
        }

        private async Task TryAsync(Func<CancellationToken, Task> work, CancellationToken cancellationToken)
        {
            try
            {
                await work(cancellationToken);
            }
            catch (FailureException e)
            {
                LogFailed(e.Error.Message);
            }
        }

        [LoggerMessage(Level = LogLevel.Warning, Message = "housekeeping failed and is tried again later: {Reason}")]
        private partial void LogFailed(string reason);
    }
}
