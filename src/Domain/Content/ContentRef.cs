namespace Starlight.Domain.Content;

/// <summary>A content by name and length: what a plan, a table or an object store needs to know of a file's bytes.</summary>
/// <param name="Digest">sha256 of the bytes.</param>
/// <param name="Size">Their number.</param>
public readonly record struct ContentRef(Digest Digest, long Size);
