using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.Tar;

/// <summary>One stored piece of a sparse file; everything between pieces is zeros.</summary>
internal readonly record struct SparseExtent(long Offset, long Length)
{
    public long End => Offset + Length;
}

/// <summary>Where the stored bytes of a sparse file belong.</summary>
internal static class SparseMap
{
    /// <summary>Checks a list of offset, length pairs against the file: ascending, no overlap, inside the file, and as long as what is stored.</summary>
    public static SparseExtent[] Validate(IReadOnlyList<long> numbers, long realSize, long storedSize)
    {
        if (numbers.Count % 2 != 0)
        {
            throw LayerFailures.Malformed("a sparse file's map has half an extent");
        }

        SparseExtent[] extents = new SparseExtent[numbers.Count / 2];
        long end = 0;
        long stored = 0;
        for (int i = 0; i < extents.Length; i++)
        {
            SparseExtent extent = new(numbers[2 * i], numbers[2 * i + 1]);
            if (extent.Offset < end || extent.Length < 0 || extent.Offset > realSize || extent.Length > realSize - extent.Offset)
            {
                throw LayerFailures.Malformed("a sparse file's extents overlap or lie outside the file");
            }

            extents[i] = extent;
            end = extent.End;
            stored += extent.Length;
        }

        return stored == storedSize ? extents : throw LayerFailures.Malformed("a sparse file's extents do not add up to its stored bytes");
    }
}
