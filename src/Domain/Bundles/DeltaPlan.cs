using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>A content to send, and how the bundle names it.</summary>
/// <param name="Image">Position among the wanted images of the first one that has the content.</param>
/// <param name="Index">Position in that image's canonical content list.</param>
public readonly record struct PlannedContent(ContentRef Content, int Image, int Index);

/// <summary>
/// What a bundle sends and in what order. Lay the contents end to end: the blocks cut that byte string into consecutive parts, each compressed on its own.
/// </summary>
public sealed class DeltaPlan
{
    /// <summary>Longest block in raw bytes. A worker holds a few blocks in memory, and nothing of a block is usable before its last byte is there.</summary>
    public const int MaxBlockLength = 1 << 20;

    /// <summary>
    /// What the first blocks are filled up to, in raw bytes: it arrives in 4 ms at 100 Mbit/s, and shorter blocks compress worse (measured in
    /// docs/formats/delta-bundle.md).
    /// </summary>
    public const int FirstBlockLength = 128 << 10;

    internal DeltaPlan(IReadOnlyList<int> canonicalCounts, IReadOnlyList<PlannedContent> contents, IReadOnlyList<int> blockLengths, int hotContentCount, int hotBlockCount, long rawLength)
    {
        CanonicalCounts = canonicalCounts;
        Contents = contents;
        BlockLengths = blockLengths;
        HotContentCount = hotContentCount;
        HotBlockCount = hotBlockCount;
        RawLength = rawLength;
    }

    /// <summary>Length of each wanted image's canonical content list.</summary>
    public IReadOnlyList<int> CanonicalCounts { get; }

    /// <summary>In stream order, each content once.</summary>
    public IReadOnlyList<PlannedContent> Contents { get; }

    /// <summary>Raw length of each block, 1 to <see cref="MaxBlockLength"/>; they add up to <see cref="RawLength"/>.</summary>
    public IReadOnlyList<int> BlockLengths { get; }

    /// <summary>The first so many contents are expected to be opened during start-up.</summary>
    public int HotContentCount { get; }

    /// <summary>The hot contents fill the first so many blocks exactly.</summary>
    public int HotBlockCount { get; }

    /// <summary>Sum of the sizes of all contents in bytes.</summary>
    public long RawLength { get; }
}
