using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Snapshots;

namespace Starlight.Infrastructure.Snapshots;

public static class SnapshotRegistration
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
        return services.AddHostedService<SnapshotCleanupAtStart>();
    }

    private sealed class SnapshotCleanupAtStart(SnapshotService snapshots) : BackgroundService
    {
        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            await Task.Yield(); // deleting may take long, and nothing waits for it
            await snapshots.CleanupAsync(stoppingToken);
        }
    }
}
