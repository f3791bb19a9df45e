namespace Starlight.Domain.Content;

/// <summary>A content by name and length. Lists of these describe what an image needs, in the canonical order of its filesystem image.</summary>
/// <param name="Digest">sha256 of the whole content.</param>
/// <param name="Size">Length in bytes; never 0 in a content list (empty files need nothing).</param>
public readonly record struct ContentRef(Digest Digest, long Size);
