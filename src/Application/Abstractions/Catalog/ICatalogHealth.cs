using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>Whether the catalog's database answers.</summary>
public interface ICatalogHealth
{
    /// <summary>Null if it answers; else why not. Takes two seconds at most.</summary>
    Task<Error?> CheckAsync(CancellationToken cancellationToken);
}
