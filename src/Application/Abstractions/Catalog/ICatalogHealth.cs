namespace Starlight.Application.Abstractions.Catalog;

/// <summary>Whether the catalog can be used. While it cannot, images asked for before are still served and nothing new can be learned.</summary>
public interface ICatalogHealth
{
    /// <summary>Why the last use of the database failed; null if it did not.</summary>
    string? Fault { get; }
}
