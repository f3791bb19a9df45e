using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Starlight.Infrastructure.Persistence;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Persistence;

/// <summary>Databases for the tests of one class, of either kind; every catalog opened is new and empty unless its connection string is given again.</summary>
public sealed class CatalogFixture : IAsyncLifetime
{
    private readonly ScratchDirectory _files = new();
    private readonly Lazy<Task<PostgresServer>> _postgres = new(PostgresServer.StartAsync);
    private int _databases;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_postgres.IsValueCreated)
        {
            await (await _postgres.Value).DisposeAsync();
        }

        _files.Dispose();
    }

    internal async Task<string> NewDatabaseAsync(DatabaseKind kind) => kind == DatabaseKind.Postgres
        ? (await _postgres.Value).CreateDatabase()
        : Path.Combine(_files.Path, $"{Interlocked.Increment(ref _databases)}", "catalog.db");

    /// <summary>The services of one proxy process, migrated.</summary>
    public static async Task<ServiceProvider> OpenAsync(string connectionString, ILoggerProvider? log = null, CancellationToken cancellationToken = default)
    {
        ServiceCollection services = new();
        services.AddLogging(logging =>
        {
            if (log is not null)
            {
                logging.AddProvider(log);
            }
        });
        services.AddPersistence(connectionString);
        ServiceProvider provider = services.BuildServiceProvider();
        try
        {
            foreach (IHostedService service in provider.GetServices<IHostedService>())
            {
                await service.StartAsync(cancellationToken);
            }

            return provider;
        }
        catch
        {
            await provider.DisposeAsync();
            throw;
        }
    }
}
