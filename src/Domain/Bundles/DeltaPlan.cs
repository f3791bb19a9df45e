using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>A content to send, and how the bundle names it.</summary>
/// <param name="Image">Position among the wanted images of the first one that has the content.</param>
/// <param name="Index">Position in that image's canonical content list.</param>
public readonly record struct PlannedContent(ContentRef Content, int Image, int Index);

/// <summary>An image that the worker has and some contents are patched from.</summary>
/// <param name="Filesystem">Digest of its filesystem image.</param>
/// <param name="CanonicalCount">Length of its canonical content list.</param>
public readonly record struct PatchBase(Digest Filesystem, int CanonicalCount);

/// <summary>A content may be sent as what differs from one that the worker has. Whether it is shows only when its block is made: a patch that is not smaller is not sent.</summary>
/// <param name="Position">Of the content in <see cref="DeltaPlan.Contents"/>.</param>
/// <param name="Base">What the worker has.</param>
/// <param name="Image">Position of its image in <see cref="DeltaPlan.Bases"/>.</param>
/// <param name="Index">Position in that image's canonical content list.</param>
public readonly record struct PlannedPatch(int Position, ContentRef Base, int Image, int Index);

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

    private readonly PlannedContents _contents;

    internal DeltaPlan(PlannedContents contents, IReadOnlyList<int> blockLengths, int hotContentCount, int hotBlockCount, long rawLength)
    {
        _contents = contents;
        CanonicalCounts = [.. contents.Images.Select(i => i.Count)];
        BlockLengths = blockLengths;
        HotContentCount = hotContentCount;
        HotBlockCount = hotBlockCount;
        RawLength = rawLength;
    }

    /// <summary>Length of each wanted image's canonical content list.</summary>
    public IReadOnlyList<int> CanonicalCounts { get; }

    /// <summary>In stream order, each content once. Made when they are asked for, from the images' content lists.</summary>
    public IReadOnlyList<PlannedContent> Contents => _contents;

    /// <summary>Raw length of each block, 1 to <see cref="MaxBlockLength"/>; they add up to <see cref="RawLength"/>.</summary>
    public IReadOnlyList<int> BlockLengths { get; }

    /// <summary>The first so many contents are expected to be opened during start-up.</summary>
    public int HotContentCount { get; }

    /// <summary>The hot contents fill the first so many blocks exactly.</summary>
    public int HotBlockCount { get; }

    /// <summary>Sum of the sizes of all contents in bytes.</summary>
    public long RawLength { get; }

    /// <summary>Images that contents are patched from; each is named by a patch.</summary>
    public IReadOnlyList<PatchBase> Bases { get; private init; } = [];

    /// <summary>Ascending by position, at most one for each content.</summary>
    public IReadOnlyList<PlannedPatch> Patches { get; private init; } = [];

    internal DeltaPlan With(IReadOnlyList<PatchBase> bases, IReadOnlyList<PlannedPatch> patches) =>
        new(_contents, BlockLengths, HotContentCount, HotBlockCount, RawLength) { Bases = bases, Patches = patches };
}
