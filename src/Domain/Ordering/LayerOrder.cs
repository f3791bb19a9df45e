using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>
/// Brings a layer's prioritized files to its front without changing what the layer means. Whatever comes before an entry and has to do with it stays before it: directories above it, other entries of its
/// path, whiteouts, the file that a hard link names (see <see cref="EntryFootprint"/>). Entries that have nothing to do with each other may change places, so unpacking gives the same tree
/// on the same lower layers. The same arguments give the same order, and a layer in that order stays as it is.
/// </summary>
public sealed class LayerOrder
{
    /// <summary>Passes over a layer until it is known what its first entries need. Real layers take two or three; one that takes more is not worth it.</summary>
    private const int MaxPasses = 16;

    private readonly IReadOnlyList<LayerEntry> _entries;
    private readonly HashSet<PosixPath> _paths = [];

    /// <summary>Of <see cref="_paths"/> those where also entries below count.</summary>
    private readonly HashSet<PosixPath> _roots = [];

    private Dictionary<PosixPath, Watch> _watches = [];
    private Dictionary<int, EntryFootprint> _footprints = [];

    /// <summary>Directory entries for directories that are there already: they make nothing, so nothing below needs them first.</summary>
    private HashSet<int> _updates = [];

    private LayerOrder(IReadOnlyList<LayerEntry> entries) => _entries = entries;

    /// <summary>The layer's entries that come first, as positions in the layer; none if it has no prioritized file. All others follow as they were.</summary>
    public IReadOnlyList<int> First { get; private set; } = [];

    /// <summary>No entry has to move.</summary>
    public bool IsInPlace => First.Select((index, i) => index == i).All(same => same);

    /// <param name="entries">In tar order.</param>
    /// <param name="files">What shall come first.</param>
    public static LayerOrder Of(IReadOnlyList<LayerEntry> entries, PrioritizedFiles files)
    {
        LayerOrder order = new(entries);
        IReadOnlyList<int> seeds = Seeds(entries, files);
        if (seeds.Count > 0 && !IsWrittenThroughSymlinks(entries))
        {
            order._paths.UnionWith(seeds.Select(s => entries[s].Path));
            order._roots.UnionWith(order._paths);
            for (int pass = 0; pass < MaxPasses; pass++)
            {
                order.Collect();
                if (order.TryClose(seeds) is { } first)
                {
                    order.First = first;
                    break;
                }
            }
        }

        return order;
    }

    /// <summary>The entries that give prioritized files their content, in the files' order: the last of each path, as later ones replace earlier ones.</summary>
    private static List<int> Seeds(IReadOnlyList<LayerEntry> entries, PrioritizedFiles files)
    {
        SortedDictionary<int, int> byRank = [];
        int index = 0;
        foreach (LayerEntry entry in entries)
        {
            if (files.TryGetRank(entry.Path, out int rank) && !EntryFootprints.IsWhiteout(entry.Path))
            {
                byRank.Remove(rank);
                if (entry.Kind is FileKind.Regular or FileKind.HardLink)
                {
                    byRank.Add(rank, index);
                }
            }

            index++;
        }

        return [.. byRank.Values];
    }

    /// <summary>Paths then do not tell what an entry changes. Such layers are rare (archives that were put together from packages for another directory tree) and stay as they are.</summary>
    private static bool IsWrittenThroughSymlinks(IReadOnlyList<LayerEntry> entries)
    {
        HashSet<PosixPath> symlinks = [.. entries.Where(e => e.Kind == FileKind.Symlink).Select(e => e.Path)];
        PosixPath last = PosixPath.Root;
        foreach (LayerEntry entry in entries)
        {
            PosixPath parent = entry.Path.Parent;
            if ((parent != last && Above(entry.Path).Any(symlinks.Contains)) || (entry.Kind == FileKind.HardLink && Above(entry.LinkTarget).Any(symlinks.Contains)))
            {
                return true;
            }

            last = parent;
        }

        return false;
    }

    private static IEnumerable<PosixPath> Above(PosixPath path)
    {
        while (!path.IsEmpty)
        {
            path = path.Parent;
            yield return path;
        }
    }

    /// <summary>One pass: which entries have to do with <see cref="_paths"/>.</summary>
    private void Collect()
    {
        _watches = [];
        _footprints = [];
        _updates = [];
        foreach (PosixPath path in _paths)
        {
            Add(path);
            foreach (PosixPath above in Above(path))
            {
                Add(above);
            }
        }

        EntryFootprints footprints = new();
        PosixPath last = PosixPath.Root;
        List<Watch> parents = Watched(PosixPath.Root);
        int index = 0;
        foreach (LayerEntry entry in _entries)
        {
            EntryFootprint footprint = footprints.Next(entry);
            foreach (PosixPath path in footprint.Paths)
            {
                if (path.Parent != last)
                {
                    last = path.Parent;
                    parents = Watched(last);
                }

                Note(index, footprint, path, path.IsEmpty ? [] : parents);
            }

            index++;
        }

        void Add(PosixPath path) => _watches.TryAdd(path, new Watch(_roots.Contains(path)));

        List<Watch> Watched(PosixPath parent) => [.. Above(parent).Prepend(parent).Select(p => _watches.GetValueOrDefault(p)).OfType<Watch>()];
    }

    private void Note(int index, EntryFootprint footprint, PosixPath path, List<Watch> above)
    {
        foreach (Watch watch in above)
        {
            watch.IsDirectory = true;
            if (watch.Below is { } below)
            {
                below.Add(index);
                _footprints[index] = footprint;
            }
        }

        if (_watches.TryGetValue(path, out Watch? at))
        {
            at.At.Add(index);
            _footprints[index] = footprint;
            if (footprint.IsDirectory && at.IsDirectory)
            {
                _updates.Add(index);
            }

            at.IsDirectory = footprint.IsDirectory;
        }
    }

    /// <summary>The seeds, each after all that it needs. Null if something turned out to matter that no pass has looked for yet.</summary>
    private List<int>? TryClose(IReadOnlyList<int> seeds)
    {
        List<int> first = [];
        HashSet<int> known = [];
        bool isComplete = true;
        foreach (int seed in seeds)
        {
            List<int> found = [];
            Queue<int> pending = new();
            Need(seed);
            while (pending.TryDequeue(out int index))
            {
                found.Add(index);
                isComplete &= Follow(index, Need);
            }

            found.Sort();
            first.AddRange(found);

            void Need(int index)
            {
                if (known.Add(index))
                {
                    pending.Enqueue(index);
                }
            }
        }

        return isComplete ? first : null;
    }

    private bool Follow(int index, Action<int> need)
    {
        EntryFootprint footprint = _footprints[index];
        bool isComplete = true;
        foreach (PosixPath path in footprint.Paths)
        {
            bool needsBelow = !footprint.IsDirectory;
            if (!_watches.TryGetValue(path, out Watch? watch) || (needsBelow && watch.Below is null))
            {
                _paths.Add(path);
                if (needsBelow)
                {
                    _roots.Add(path);
                }

                isComplete = false;
                continue;
            }

            watch.TakeAt(index, need);
            if (needsBelow)
            {
                watch.TakeBelow(index, need);
            }

            foreach (PosixPath above in Above(path))
            {
                _watches[above].TakeAbove(index, _updates, need);
            }
        }

        return isComplete;
    }

    /// <summary>The entries that have to do with one path, in tar order. Each is handed out once for each reason.</summary>
    private sealed class Watch(bool watchesBelow)
    {
        private int _atTaken;
        private int _aboveTaken;
        private int _belowTaken;

        /// <summary>While a pass goes on: what it has seen so far makes the path a directory.</summary>
        public bool IsDirectory { get; set; }

        public List<int> At { get; } = [];

        public List<int>? Below { get; } = watchesBelow ? [] : null;

        public void TakeAt(int before, Action<int> need) => Take(At, ref _atTaken, before, except: null, need);

        /// <summary>For an entry below.</summary>
        public void TakeAbove(int before, HashSet<int> updates, Action<int> need) => Take(At, ref _aboveTaken, before, updates, need);

        public void TakeBelow(int before, Action<int> need) => Take(Below!, ref _belowTaken, before, except: null, need);

        private static void Take(List<int> indexes, ref int taken, int before, HashSet<int>? except, Action<int> need)
        {
            for (; taken < indexes.Count && indexes[taken] < before; taken++)
            {
                if (except is null || !except.Contains(indexes[taken]))
                {
                    need(indexes[taken]);
                }
            }
        }
    }
}
