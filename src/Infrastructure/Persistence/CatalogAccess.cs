using System.Data.Common;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Persistence;

/// <summary>Runs one unit of work on a context of its own and turns the database's faults into ours.</summary>
internal sealed class CatalogAccess(CatalogDatabase database, IDbContextFactory<CatalogContext> contexts)
{
    public async Task<T> RunAsync<T>(Func<CatalogContext, Task<T>> work, CancellationToken cancellationToken)
    {
        try
        {
            await using CatalogContext context = await contexts.CreateDbContextAsync(cancellationToken);
            return await work(context);
        }
        catch (Exception e) when (Fault(e) is { } fault)
        {
            throw new FailureException(new Error("Catalog.Unavailable", $"the catalog {database.DisplayName} cannot be used now: {fault.Message}", ErrorKind.Unavailable), e);
        }
    }

    /// <summary>EF wraps the driver's exception in its own when saving, and in InvalidOperationException when it thinks a retry would help.</summary>
    private static Exception? Fault(Exception e) => e switch
    {
        DbException or SocketException or TimeoutException => e,
        DbUpdateException { InnerException: DbException inner } => inner,
        InvalidOperationException { InnerException: { } inner } => Fault(inner),
        _ => null,
    };
}
