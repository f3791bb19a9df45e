using Starlight.Domain.Content;

namespace Starlight.Domain.Images;

/// <summary>An OCI content descriptor (image-spec, descriptor.md).</summary>
public sealed record Descriptor(string MediaType, Digest Digest, long Size)
{
    public IReadOnlyDictionary<string, string> Annotations { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Set on the entries of an index.</summary>
    public Platform? Platform { get; init; }

    /// <summary>OCI 1.1 artifacts; null for images.</summary>
    public string? ArtifactType { get; init; }
}
