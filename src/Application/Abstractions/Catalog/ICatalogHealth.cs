using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Catalog;

/// <summary>Whether the catalog's database answers. While it does not, images asked for before are still served and nothing new can be learned.</summary>
public interface ICatalogHealth
{
    /// <summary>Why the last use of the database failed; null if it did not. Asks nothing.</summary>
    string? Fault { get; }

    /// <summary>Null if it answers; else why not. Takes two seconds at most.</summary>
    Task<Error?> CheckAsync(CancellationToken cancellationToken);
}
