using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>
/// Files of an image that a container opens while it starts, in the order of their first use: "prioritized files" of eStargz (stargz-snapshotter docs/estargz.md). By path, so that what is known of
/// one version of an image serves the next.
/// </summary>
public sealed class PrioritizedFiles
{
    private readonly Dictionary<PosixPath, int> _ranks = [];

    /// <param name="paths">The first to be opened first; a path that comes again counts where it came first.</param>
    public PrioritizedFiles(IEnumerable<PosixPath> paths)
    {
        List<PosixPath> distinct = [];
        foreach (PosixPath path in paths.Where(p => !p.IsEmpty))
        {
            if (_ranks.TryAdd(path, distinct.Count))
            {
                distinct.Add(path);
            }
        }

        Paths = distinct;
    }

    public static PrioritizedFiles None { get; } = new([]);

    /// <summary>Each once, cleaned.</summary>
    public IReadOnlyList<PosixPath> Paths { get; }

    /// <summary>sha256 over the paths in their order: the same files in the same order have the same name.</summary>
    public Digest Digest => Digest.Of(Encoding.Latin1.GetBytes(string.Join('\0', Paths.Select(p => p.Raw))));

    /// <summary>Position of a path, from 0.</summary>
    public bool TryGetRank(PosixPath path, out int rank) => _ranks.TryGetValue(path, out rank);

    /// <summary>Those that are in a layer, in the same order: all that the order of the layer's entries depends on.</summary>
    public PrioritizedFiles In(IEnumerable<LayerEntry> layer)
    {
        SortedSet<int> ranks = [];
        foreach (LayerEntry entry in layer)
        {
            if (entry.Kind is FileKind.Regular or FileKind.HardLink && _ranks.TryGetValue(entry.Path, out int rank))
            {
                ranks.Add(rank);
            }
        }

        return new PrioritizedFiles(ranks.Select(r => Paths[r]));
    }
}
