namespace Starlight.Application.Abstractions.Catalog;

/// <summary>
/// Says which of the proxies on one database does what, so that no two do the same. A claim ends by itself, so one that crashed holds nobody up; times are the database's,
/// so clocks need not agree. Safe for concurrent use.
/// </summary>
public interface IClaims
{
    /// <summary>Takes the claim, or extends it if this process has it. False if another one has it.</summary>
    Task<bool> TryTakeAsync(string name, TimeSpan validFor, CancellationToken cancellationToken);

    /// <summary>Gives the claim up if this process has it.</summary>
    Task ReleaseAsync(string name, CancellationToken cancellationToken);
}
