using Microsoft.EntityFrameworkCore;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Persistence;

internal sealed class CatalogHealth(CatalogAccess access, TimeProvider time) : ICatalogHealth
{
    /// <summary>Orchestrators give a probe a second or a few. Arbitrary.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public string? Fault => access.Fault;

    public async Task<Error?> CheckAsync(CancellationToken cancellationToken)
    {
        try
        {
            // WaitAsync, because a driver that connects to a dead address does not always look at its token.
            using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(Patience);
            await access.RunAsync(context => context.Database.ExecuteSqlRawAsync("SELECT 1", deadline.Token), deadline.Token).WaitAsync(Patience, time, cancellationToken);
            return null;
        }
        catch (FailureException e)
        {
            return e.Error;
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return new Error("Catalog.Slow", $"the catalog does not answer within {Patience.TotalSeconds:0} s", ErrorKind.Unavailable);
        }
    }
}
