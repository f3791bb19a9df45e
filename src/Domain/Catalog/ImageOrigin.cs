namespace Starlight.Domain.Catalog;

/// <summary>A repository that an image was notified from: where its layers can be read again.</summary>
/// <param name="Registry">Host with optional port.</param>
/// <param name="Repository">Path below it.</param>
/// <param name="Insecure">The one who notified it allowed plain HTTP and unchecked certificates.</param>
public sealed record ImageOrigin(string Registry, string Repository, bool Insecure);
