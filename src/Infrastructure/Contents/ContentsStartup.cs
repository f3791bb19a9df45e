using Microsoft.Extensions.Hosting;

namespace Starlight.Infrastructure.Contents;

/// <summary>Opens the stores before the host listens: a data directory that cannot be used, or is used by another proxy, must be known at start.</summary>
internal sealed class ContentsStartup : IHostedService
{
    /// <param name="store">Opened and locked by being created.</param>
    /// <param name="bundles">Cleaned up by being created.</param>
    public ContentsStartup(ContentStore store, BundleCache bundles)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(bundles);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
