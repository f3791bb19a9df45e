using Microsoft.EntityFrameworkCore;
using Starlight.Application.Abstractions.Catalog;

namespace Starlight.Infrastructure.Persistence;

/// <summary>Claims as rows that expire by the database's clock.</summary>
internal sealed class Claims(CatalogAccess access, CatalogDatabase database) : IClaims
{
    /// <summary>This process among all on the database, for people who look at the table.</summary>
    private readonly string _owner = $"{Environment.MachineName}/{Environment.ProcessId}/{Guid.NewGuid():N}";

    /// <summary>The clock in milliseconds since 1970, which each database writes in its own way.</summary>
    private const string TakeInPostgres = """
        INSERT INTO claims (name, owner, expires_at) VALUES ({0}, {1}, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + {2})
        ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
        WHERE claims.owner = excluded.owner OR claims.expires_at < CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)
        """;

    private const string TakeInSqlite = """
        INSERT INTO claims (name, owner, expires_at) VALUES ({0}, {1}, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) + {2})
        ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
        WHERE claims.owner = excluded.owner OR claims.expires_at < CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
        """;

    private readonly string _take = database.Kind == DatabaseKind.Postgres ? TakeInPostgres : TakeInSqlite;

    public Task<bool> TryTakeAsync(string name, TimeSpan validFor, CancellationToken cancellationToken) => access.RunAsync(
        async context => await context.Database.ExecuteSqlRawAsync(_take, [name, _owner, (long)validFor.TotalMilliseconds], cancellationToken) == 1, cancellationToken);

    public Task ReleaseAsync(string name, CancellationToken cancellationToken) => access.RunAsync(
        async context => await context.Database.ExecuteSqlRawAsync("DELETE FROM claims WHERE name = {0} AND owner = {1}", [name, _owner], cancellationToken),
        cancellationToken);
}
