using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>Reads part of a content for the domain, which does no input or output itself.</summary>
/// <param name="content">Which content.</param>
/// <param name="offset">From where, in bytes; may lie beyond the end.</param>
/// <param name="maxLength">At most so many bytes; fewer only at the end of the content.</param>
/// <returns>Null if the content cannot be had now; the order is then less good, not wrong.</returns>
public delegate ReadOnlyMemory<byte>? PeekContent(Digest content, long offset, int maxLength);

/// <summary>The order in which an image's contents are best sent.</summary>
/// <param name="Indexes">Positions in the image's canonical content list, each exactly once.</param>
/// <param name="HotCount">The first so many are expected to be opened while a container starts.</param>
public sealed record ContentOrder(IReadOnlyList<int> Indexes, int HotCount)
{
    /// <summary>
    /// The order for an image of which no trace exists: what its entrypoint is sure to open, then everything in canonical order, which keeps files of one directory
    /// together. The same arguments give the same order.
    /// </summary>
    /// <param name="tree">What a container sees.</param>
    /// <param name="contents">Its distinct non-empty contents in canonical order: depth first, names in byte order, each at its first occurrence.</param>
    /// <param name="config">Says what a container starts.</param>
    /// <param name="peek">Reads contents.</param>
    public static ContentOrder ForImage(FileTree tree, IReadOnlyList<ContentRef> contents, ImageConfig config, PeekContent peek)
    {
        List<Digest> hot = [];
        HashSet<Digest> seen = [];
        foreach (Inode file in new EntrypointFiles(tree, config, peek).Collect())
        {
            if (file.Kind == FileKind.Regular && file.Size > 0 && seen.Add(file.Content))
            {
                hot.Add(file.Content);
            }
        }

        int[] canonical = new int[contents.Count];
        for (int i = 0; i < canonical.Length; i++)
        {
            canonical[i] = i;
        }

        return new ContentOrder(canonical, 0).Beginning(PositionsOf(contents, hot));
    }

    /// <summary>Where some contents are in a canonical content list, in their own order. Those that it does not have are passed over; memory is needed for the few only.</summary>
    public static IReadOnlyList<int> PositionsOf(IReadOnlyList<ContentRef> contents, IReadOnlyCollection<Digest> some)
    {
        const int absent = -1;
        int[] positions = new int[some.Count];
        Array.Fill(positions, absent);
        Dictionary<Digest, int> ranks = new(some.Count);
        foreach (Digest digest in some)
        {
            ranks.TryAdd(digest, ranks.Count);
        }

        for (int i = 0; i < contents.Count; i++)
        {
            if (ranks.TryGetValue(contents[i].Digest, out int rank))
            {
                positions[rank] = i;
            }
        }

        return [.. positions.Where(p => p != absent)];
    }

    /// <summary>The same contents with those that are known to be opened first.</summary>
    /// <param name="hot">From traces; replaces what was expected.</param>
    public ContentOrder Beginning(IEnumerable<int> hot)
    {
        bool[] taken = new bool[Indexes.Count];
        int[] order = new int[Indexes.Count];
        int count = 0;
        foreach (int index in hot)
        {
            Take(index);
        }

        int hotCount = count;
        for (int i = 0; i < Indexes.Count; i++)
        {
            Take(Indexes[i]);
        }

        return new ContentOrder(order, hotCount);

        void Take(int index)
        {
            if (!taken[index])
            {
                taken[index] = true;
                order[count++] = index;
            }
        }
    }
}
