namespace Starlight.Infrastructure.Bundles;

/// <summary>A place between two block records.</summary>
/// <param name="Block">Blocks before it.</param>
/// <param name="Offset">Bytes of the bundle before it: the request for the rest says <c>Range: bytes=Offset-</c>.</param>
public readonly record struct BundlePosition(int Block, long Offset);
