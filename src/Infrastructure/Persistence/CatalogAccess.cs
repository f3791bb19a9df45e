using System.Data.Common;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Persistence;

/// <summary>Runs one unit of work on a context of its own, turns the database's faults into ours and remembers whether there was one.</summary>
internal sealed class CatalogAccess(CatalogDatabase database, IDbContextFactory<CatalogContext> contexts)
{
    /// <summary>
    /// Keeps the collector and those who record apart: it must not remove what a notification that is being stored relies on. Arbitrary, but fixed for ever.
    /// </summary>
    private const long CollectorLock = 0x53_74_61_72_6C_67_63;

    private volatile string? _fault;

    /// <summary>Why the last unit of work failed; null if it did not.</summary>
    public string? Fault => _fault;

    public async Task<T> RunAsync<T>(Func<CatalogContext, Task<T>> work, CancellationToken cancellationToken)
    {
        try
        {
            await using CatalogContext context = await contexts.CreateDbContextAsync(cancellationToken);
            T result = await work(context);
            _fault = null;
            return result;
        }
        catch (Exception e) when (FaultOf(e) is { } fault)
        {
            _fault = fault.Message;
            throw new FailureException(new Error("Catalog.Unavailable", $"the catalog {database.DisplayName} cannot be used now: {fault.Message}", ErrorKind.Unavailable), e);
        }
    }

    /// <summary>To be called first in a transaction that records or removes; lasts until its end. SQLite has one writer at a time anyway.</summary>
    /// <param name="alone">For the collector.</param>
    public async Task LockAsync(CatalogContext context, bool alone, CancellationToken cancellationToken)
    {
        if (database.Kind == DatabaseKind.Postgres)
        {
            await context.Database.ExecuteSqlRawAsync(alone ? "SELECT pg_advisory_xact_lock({0})" : "SELECT pg_advisory_xact_lock_shared({0})", [CollectorLock], cancellationToken);
        }
    }

    /// <summary>EF wraps the driver's exception in its own when saving, and in InvalidOperationException when it thinks a retry would help.</summary>
    private static Exception? FaultOf(Exception e) => e switch
    {
        DbException or SocketException or TimeoutException => e,
        DbUpdateException { InnerException: DbException inner } => inner,
        InvalidOperationException { InnerException: { } inner } => FaultOf(inner),
        _ => null,
    };
}
