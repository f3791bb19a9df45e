namespace Starlight.Domain.Bundles;

/// <summary>One image's part of a bundle's header, in two pieces that follow each other: the second is large and the same in every bundle.</summary>
/// <param name="Name">What the image was asked for as.</param>
/// <param name="Image">What it is.</param>
public readonly record struct ImageUnits(ReadOnlyMemory<byte> Name, ReadOnlyMemory<byte> Image)
{
    /// <summary>In bytes.</summary>
    public long Length => (long)Name.Length + Image.Length;
}
