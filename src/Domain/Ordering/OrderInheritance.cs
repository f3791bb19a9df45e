using System.Text;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>
/// The hot set of an image without traces, from one that has some. A content that both have stays what it is; of the others the one at the same path takes the place, or the only few at the same
/// path but for version numbers (<c>/usr/lib/python3.11/ssl.py</c>, <c>/usr/lib/python3.12/ssl.py</c>). No input or output; the same arguments give the same order.
/// </summary>
public static class OrderInheritance
{
    /// <summary>More files that differ in a number only are a collection, not versions of one. Arbitrary.</summary>
    private const int MaxShapes = 4;

    /// <summary>From another version of the same image.</summary>
    /// <param name="hot">The hot set of the other version, in its order.</param>
    /// <param name="from">Its tree.</param>
    /// <param name="to">The tree of the image that has no traces.</param>
    /// <param name="predicted">
    /// What the image's own configuration leads to. Of that only files which the other version did not have are taken: what it had and no trace opened is known not to be needed. They come
    /// behind what they are predicted to follow.
    /// </param>
    public static IReadOnlyList<LearnedContent> FromVersion(IReadOnlyList<LearnedContent> hot, FileTree from, FileTree to, IReadOnlyList<Digest> predicted)
    {
        // Paths of the few contents that matter: those of all would take more memory than both trees.
        HashSet<Digest> opened = [.. hot.Select(h => h.Content)];
        Dictionary<Digest, List<PosixPath>> oldPaths = PathsOf(from, opened);
        Dictionary<Digest, List<PosixPath>> newPaths = PathsOf(to, [.. opened, .. predicted]);
        Dictionary<ulong, List<Digest>> shapes = ShapesOf(to, from, [.. oldPaths.Where(o => !newPaths.ContainsKey(o.Key)).SelectMany(o => o.Value).Select(ShapeOf)]);
        HashSet<Digest> taken = [];
        LinkedList<LearnedContent> inherited = [];
        Dictionary<Digest, LinkedListNode<LearnedContent>> nodes = [];
        foreach (LearnedContent content in hot)
        {
            foreach (Digest heir in HeirsOf(content.Content, oldPaths, newPaths, shapes, to).Where(taken.Add))
            {
                nodes.Add(heir, inherited.AddLast(content with { Content = heir }));
            }
        }

        LinkedListNode<LearnedContent>? last = null;
        foreach (Digest content in predicted)
        {
            if (nodes.TryGetValue(content, out LinkedListNode<LearnedContent>? known))
            {
                last = known;
            }
            else if (newPaths.TryGetValue(content, out List<PosixPath>? paths) && paths.TrueForAll(p => !from.TryFind(p, out _)) && taken.Add(content))
            {
                LearnedContent fresh = new(content, last?.Value.Rank ?? 0, last?.Value.At ?? TimeSpan.Zero, 0, IsRare: false);
                last = last is null ? inherited.AddFirst(fresh) : inherited.AddAfter(last, fresh);
            }
        }

        return [.. inherited];
    }

    /// <summary>From an image that shares layers but is another application: the contents that both have, behind what the image's own configuration leads to.</summary>
    public static IReadOnlyList<LearnedContent> FromRelative(IReadOnlyList<LearnedContent> hot, IReadOnlySet<Digest> contents, IReadOnlyList<Digest> predicted)
    {
        HashSet<Digest> taken = [];
        Dictionary<Digest, LearnedContent> known = hot.ToDictionary(h => h.Content);
        TimeSpan at = TimeSpan.Zero;
        List<LearnedContent> inherited = [];
        foreach (Digest content in predicted.Where(taken.Add))
        {
            inherited.Add(known.TryGetValue(content, out LearnedContent seen) ? seen with { At = at = at > seen.At ? at : seen.At } : new LearnedContent(content, 0, at, 0, IsRare: false));
        }

        inherited.AddRange(hot.Where(h => contents.Contains(h.Content) && taken.Add(h.Content)));
        return inherited;
    }

    private static IEnumerable<Digest> HeirsOf(
        Digest old, Dictionary<Digest, List<PosixPath>> oldPaths, Dictionary<Digest, List<PosixPath>> newPaths, Dictionary<ulong, List<Digest>> shapes, FileTree to)
    {
        if (newPaths.ContainsKey(old))
        {
            return [old];
        }

        List<Digest> heirs = [];
        foreach (PosixPath path in oldPaths.GetValueOrDefault(old) ?? [])
        {
            if (to.TryFind(path, out Inode? inode))
            {
                if (inode is { Kind: FileKind.Regular, Size: > 0 })
                {
                    heirs.Add(inode.Content);
                }
            }
            else if (shapes.GetValueOrDefault(ShapeOf(path)) is { Count: <= MaxShapes } same)
            {
                heirs.AddRange(same);
            }
        }

        return heirs;
    }

    private static Dictionary<Digest, List<PosixPath>> PathsOf(FileTree tree, HashSet<Digest> wanted)
    {
        Dictionary<Digest, List<PosixPath>> paths = [];
        foreach ((PosixPath path, Inode inode) in tree.Walk().Where(e => e.Inode is { Kind: FileKind.Regular, Size: > 0 } && wanted.Contains(e.Inode.Content)))
        {
            (paths.TryGetValue(inode.Content, out List<PosixPath>? all) ? all : paths[inode.Content] = []).Add(path);
        }

        return paths;
    }

    /// <summary>Contents at paths of some shapes that <paramref name="from"/> does not have, in the order of the tree.</summary>
    private static Dictionary<ulong, List<Digest>> ShapesOf(FileTree to, FileTree from, HashSet<ulong> wanted)
    {
        if (wanted.Count == 0)
        {
            return [];
        }

        Dictionary<ulong, List<Digest>> shapes = [];
        foreach ((PosixPath path, Inode inode) in to.Walk().Where(e => e.Inode is { Kind: FileKind.Regular, Size: > 0 }))
        {
            ulong shape = ShapeOf(path);
            if (wanted.Contains(shape) && !from.TryFind(path, out _))
            {
                (shapes.TryGetValue(shape, out List<Digest>? same) ? same : shapes[shape] = []).Add(inode.Content);
            }
        }

        return shapes;
    }

    private static ulong ShapeOf(PosixPath path)
    {
        PathHash directory = PathHash.Root;
        string[] names = path.Raw.Split('/');
        foreach (string name in names[..^1])
        {
            directory = directory.Append(Encoding.Latin1.GetBytes(name));
        }

        return directory.File(Encoding.Latin1.GetBytes(names[^1])).PathShape;
    }
}
