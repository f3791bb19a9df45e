using System.Data.Common;
using System.Net.Sockets;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Persistence;

/// <summary>
/// Migrates the catalog before the host listens. A database that is not up yet is waited for as long as it takes: proxy and database are
/// usually started together, and a service manager that restarts the proxy could do no better.
/// </summary>
internal sealed class CatalogStartup(CatalogDatabase database, SchemaMigrator migrator, IImageQueries queries, IImageCatalog catalog, TimeProvider time, ILogger<CatalogStartup> logger) : IHostedService
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(15);

    /// <summary>Nobody's image.</summary>
    private static readonly ImageReference Nothing = ImageReference.Parse("registry.invalid/nothing:here").Value;

    private Task _warmUp = Task.CompletedTask;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        for (TimeSpan delay = FirstDelay; ; delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay)
        {
            try
            {
                await migrator.MigrateAsync(cancellationToken);
                PersistenceLog.Ready(logger, database.DisplayName);
                _warmUp = WarmUpAsync();
                return;
            }
            catch (Exception e) when (database.Kind == DatabaseKind.Postgres && (e is DbException { IsTransient: true } or SocketException or TimeoutException))
            {
                PersistenceLog.Waiting(logger, database.DisplayName, e.Message, delay.TotalSeconds);
                await Task.Delay(delay, time, cancellationToken);
            }
            catch (DbException e)
            {
                throw new FailureException(new Error("Catalog.Unusable", $"the catalog {database.DisplayName} cannot be used: {e.Message}", ErrorKind.FailedPrecondition), e);
            }
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => _warmUp;

    /// <summary>EF builds its model and compiles its queries at their first use, some 500 ms in all: those of a delta in the background instead of in the first request.</summary>
    private async Task WarmUpAsync()
    {
        await Task.Yield();
        try
        {
            await queries.FindByDigestAsync(Digest.Empty, CancellationToken.None);
            await queries.FindByTagAsync(Nothing, CancellationToken.None);
            await catalog.FindImageAsync(Digest.Empty, CancellationToken.None);
        }
        catch (FailureException e)
        {
            // The first real request will tell its caller.
            PersistenceLog.WarmUpFailed(logger, database.DisplayName, e.Message);
        }
    }
}
