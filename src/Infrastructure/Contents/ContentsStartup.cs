using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Starlight.Infrastructure.Contents;

/// <summary>Opens the stores before the host listens: a data directory that cannot be used, or is used by another proxy, must be known at start.</summary>
internal sealed class ContentsStartup : IHostedService
{
    private readonly ContentStore _store;
    private readonly ILogger<ContentStore> _logger;
    private Task _settling = Task.CompletedTask;

    /// <param name="store">Opened and locked by being created.</param>
    /// <param name="bundles">Cleaned up by being created.</param>
    /// <param name="logger">Told what is there.</param>
    public ContentsStartup(ContentStore store, BundleCache bundles, ILogger<ContentStore> logger)
    {
        ArgumentNullException.ThrowIfNull(bundles);
        (_store, _logger) = (store, logger);
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _settling = Task.Run(Settle, CancellationToken.None);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => _settling;

    /// <summary>Looking at every file can take seconds: in the background.</summary>
    private void Settle()
    {
        try
        {
            (long count, long bytes) = _store.Settle();
            ContentsLog.Settled(_logger, _store.Usage.Contents, _store.Usage.Bytes, _store.Usage.Limit, count, bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            ContentsLog.NotSettled(_logger, e.Message);
        }
    }
}
