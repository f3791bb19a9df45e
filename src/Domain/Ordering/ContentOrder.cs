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
/// <param name="Digests">Every distinct non-empty content once.</param>
/// <param name="HotCount">The first so many are expected to be opened while a container starts.</param>
public sealed record ContentOrder(IReadOnlyList<Digest> Digests, int HotCount)
{
    /// <summary>sha256 over the hot count and all digests: two equal orders have equal names.</summary>
    public Digest Digest
    {
        get
        {
            byte[] text = new byte[4 + (Digests.Count * Content.Digest.Size)];
            System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(text, HotCount);
            for (int i = 0; i < Digests.Count; i++)
            {
                Digests[i].CopyTo(text.AsSpan(4 + (i * Content.Digest.Size)));
            }

            return Content.Digest.Of(text);
        }
    }

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
        List<Digest> order = new(contents.Count);
        HashSet<Digest> hot = [];
        foreach (Inode file in new EntrypointFiles(tree, config, peek).Collect())
        {
            if (file.Kind == FileKind.Regular && file.Size > 0 && hot.Add(file.Content))
            {
                order.Add(file.Content);
            }
        }

        int hotCount = order.Count;
        foreach (ContentRef content in contents)
        {
            if (!hot.Contains(content.Digest))
            {
                order.Add(content.Digest);
            }
        }

        return new ContentOrder(order, hotCount);
    }

    /// <summary>The same contents with those that are known to be opened first. Contents that this order does not have are passed over.</summary>
    /// <param name="hot">From traces; replaces what was expected.</param>
    public ContentOrder Beginning(IEnumerable<Digest> hot)
    {
        HashSet<Digest> left = [.. Digests];
        List<Digest> order = new(Digests.Count);
        order.AddRange(hot.Where(left.Remove));
        int count = order.Count;
        order.AddRange(Digests.Where(left.Remove));
        return new ContentOrder(order, count);
    }
}
