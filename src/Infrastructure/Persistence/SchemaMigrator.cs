using System.Data.Common;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Persistence;

/// <summary>
/// Brings the database to this program's schema. Plain SQL instead of EF's migrations: EF's lock table on SQLite stays behind when a
/// process dies holding it, and its design-time tools are not to be had (ADR 0002). Several proxies may start on one database at once:
/// the first does the work under a lock that dies with its connection, the others find it done.
/// </summary>
internal sealed class SchemaMigrator(CatalogDatabase database, ILogger<SchemaMigrator> logger, IReadOnlyList<SchemaMigration>? migrations = null)
{
    /// <summary>Arbitrary but fixed for ever: what proxies lock against each other in Postgres.</summary>
    private const long AdvisoryLock = 0x53_74_61_72_6C_67_74;

    private readonly IReadOnlyList<SchemaMigration> _migrations = migrations ?? SchemaMigrations.All;

    /// <exception cref="FailureException">FailedPrecondition <c>Catalog.SchemaTooNew</c>.</exception>
    /// <exception cref="DbException">The database cannot be reached.</exception>
    public async Task MigrateAsync(CancellationToken cancellationToken)
    {
        await using DbConnection connection = database.CreateConnection();
        database.CreateDirectory();
        await connection.OpenAsync(cancellationToken);
        if (database.Kind == DatabaseKind.Sqlite)
        {
            // Readers do not wait for the writer; the setting stays in the file.
            await ExecuteAsync(connection, null, "PRAGMA journal_mode = WAL", cancellationToken);
        }

        // One transaction for everything: on SQLite it begins IMMEDIATE, which is the lock; on Postgres the advisory lock ends with it.
        await using DbTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (database.Kind == DatabaseKind.Postgres)
        {
            await ExecuteAsync(connection, transaction, $"SELECT pg_advisory_xact_lock({AdvisoryLock.ToString(CultureInfo.InvariantCulture)})", cancellationToken);
        }

        await ExecuteAsync(connection, transaction, "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL)", cancellationToken);
        int present = Convert.ToInt32(await ScalarAsync(connection, transaction, "SELECT COALESCE(MAX(version), 0) FROM schema_version", cancellationToken), CultureInfo.InvariantCulture);
        if (present > _migrations[^1].Version)
        {
            throw new FailureException(new Error("Catalog.SchemaTooNew", $"the database {database.DisplayName} has schema {present}, made by a newer starlight-proxy; this one knows {_migrations[^1].Version}: update it", ErrorKind.FailedPrecondition));
        }

        foreach (SchemaMigration migration in _migrations.Where(m => m.Version > present))
        {
            foreach (string statement in migration.For(database.Kind))
            {
                await ExecuteAsync(connection, transaction, statement, cancellationToken);
            }

            await ExecuteAsync(connection, transaction, $"INSERT INTO schema_version (version, name) VALUES ({migration.Version.ToString(CultureInfo.InvariantCulture)}, '{migration.Name}')", cancellationToken);
            PersistenceLog.Migrated(logger, database.DisplayName, migration.Version, migration.Name);
        }

        await transaction.CommitAsync(cancellationToken);
    }

    private static async Task ExecuteAsync(DbConnection connection, DbTransaction? transaction, string sql, CancellationToken cancellationToken)
    {
        await using DbCommand command = Command(connection, transaction, sql);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<object?> ScalarAsync(DbConnection connection, DbTransaction transaction, string sql, CancellationToken cancellationToken)
    {
        await using DbCommand command = Command(connection, transaction, sql);
        return await command.ExecuteScalarAsync(cancellationToken);
    }

    private static DbCommand Command(DbConnection connection, DbTransaction? transaction, string sql)
    {
        DbCommand command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = sql;
        return command;
    }
}
