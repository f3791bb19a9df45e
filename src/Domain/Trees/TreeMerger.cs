using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Trees;

/// <summary>
/// Merges layers into the tree that a container sees when containerd 1.6 unpacks them for its overlayfs snapshotter (see
/// <see cref="LayerTree"/>) and overlayfs stacks them: a name is what the topmost layer having it says; directories merge downwards until one
/// is opaque, or a layer has a whiteout or a non-directory there; a merged directory shows the attributes of its topmost layer.
/// </summary>
/// <remarks>
/// Where containerd leaves the time of unpacking (root, implied directories no lower layer has), the tree has the epoch or what a lower layer
/// or root entry says. An opaque marker in the root hides nothing: overlayfs merges layer roots unconditionally (fs/overlayfs/super.c,
/// <c>ovl_get_root</c>). Link counts are of names in the tree. Not safe for concurrent use.
/// </remarks>
public sealed class TreeMerger
{
    /// <summary>Topmost first.</summary>
    private LayerTree[] _layers = [];

    /// <summary>Merges all layers, the base first. Fails with one of <see cref="TreeErrors"/>.</summary>
    public static Result<FileTree> Merge(IEnumerable<IReadOnlyList<LayerEntry>> layersBaseFirst)
    {
        TreeMerger merger = new();
        foreach (IReadOnlyList<LayerEntry> layer in layersBaseFirst)
        {
            Result applied = merger.Apply(layer);
            if (!applied.IsSuccess)
            {
                return applied.Error;
            }
        }

        return merger.Build();
    }

    /// <summary>
    /// Puts one more layer on top. The entries are read once and not kept. Fails with one of <see cref="TreeErrors"/>, and then
    /// leaves the merger as it was.
    /// </summary>
    public Result Apply(IEnumerable<LayerEntry> entries)
    {
        LayerTree layer = new(_layers);
        Result unpacked = layer.Unpack(entries);
        if (unpacked.IsSuccess)
        {
            _layers = [layer, .. _layers];
        }

        return unpacked;
    }

    /// <summary>The tree of the layers applied so far. May be called after each layer: the trees share what they have in common.</summary>
    public FileTree Build()
    {
        List<LayerDirectory> roots = [.. _layers.Select(static layer => layer.Root)];
        Inode root = UnpackedInodes.DefaultDirectory;
        if (Array.Find(_layers, static layer => layer.HasRootEntry) is { } withEntry)
        {
            root = withEntry.Root.Attributes;
        }

        return new FileTree(Directory(root, MergeChildren(roots)));
    }

    /// <summary>What overlayfs shows at a path (symlinks not followed) of layers stacked topmost first.</summary>
    internal static bool TryFind(List<LayerDirectory> stack, PosixPath path, out LayerNode node)
    {
        node = default;
        string[] names = path.Raw.Split('/');
        foreach (string name in names.AsSpan(0, names.Length - 1))
        {
            List<LayerDirectory> next = [];
            foreach (LayerDirectory directory in stack)
            {
                if (!directory.TryGet(name, out LayerNode step))
                {
                    continue;
                }

                if (step.Directory is null)
                {
                    break;
                }

                next.Add(step.Directory);
                if (step.Directory.IsOpaque)
                {
                    break;
                }
            }

            stack = next;
        }

        foreach (LayerDirectory directory in stack)
        {
            if (directory.TryGet(names[^1], out node))
            {
                return !node.IsWhiteout;
            }
        }

        return false;
    }

    private static Inode Directory(Inode attributes, DirectoryEntries children) => new(attributes.Attributes) { Xattrs = attributes.Xattrs, Children = children };

    /// <summary>Recursion is as deep as the tree, which <see cref="LayerPaths.MaxLength"/> bounds.</summary>
    private static DirectoryEntries MergeChildren(List<LayerDirectory> stack) => stack.Count switch
    {
        0 => DirectoryEntries.Empty,
        1 => Entries(stack[0].Nodes, static node => node.Directory is null ? node.Inode : Directory(node.Directory.Attributes, MergeChildren([node.Directory]))),
        _ => UnionOfChildren(stack),
    };

    private static DirectoryEntries UnionOfChildren(List<LayerDirectory> stack)
    {
        NameTable<MergedName> union = new();
        foreach (LayerDirectory directory in stack)
        {
            for (int entry = 0; entry < directory.Nodes.Count; entry++)
            {
                if (!directory.Nodes.Has(entry))
                {
                    continue;
                }

                LayerNode node = directory.Nodes.Value(entry);
                ref MergedName merged = ref union.GetOrAdd(directory.Nodes.Name(entry), out bool exists);
                if (!exists)
                {
                    merged = new MergedName { Inode = node.Inode, Directories = node.Directory is null ? null : [node.Directory] };
                    merged.IsClosed = node.Directory is null || node.Directory.IsOpaque;
                }
                else if (!merged.IsClosed)
                {
                    merged.IsClosed = node.Directory is null || node.Directory.IsOpaque;
                    if (node.Directory is not null)
                    {
                        merged.Directories!.Add(node.Directory);
                    }
                }
            }
        }

        union.Names.Trim();
        return Entries(union, static merged => merged.Directories is null ? merged.Inode : Directory(merged.Directories[0].Attributes, MergeChildren(merged.Directories)));
    }

    /// <summary>The names that stand for something, in the table's own list of names.</summary>
    private static DirectoryEntries Entries<T>(NameTable<T> table, Func<T, Inode?> find)
    {
        int count = 0;
        int[] starts = new int[table.Count];
        Inode[] inodes = new Inode[table.Count];
        for (int entry = 0; entry < table.Count; entry++)
        {
            if (table.Has(entry) && find(table.Value(entry)) is { } inode)
            {
                starts[count] = table.Start(entry);
                inodes[count++] = inode;
            }
        }

        if (count < starts.Length)
        {
            Array.Resize(ref starts, count);
            Array.Resize(ref inodes, count);
        }

        return DirectoryEntries.Take(table.Names, starts, inodes);
    }

    /// <summary>What a name stands for while layers are gone through downwards. Neither inode nor directories: hidden by a whiteout.</summary>
    private struct MergedName
    {
        public Inode? Inode;
        public List<LayerDirectory>? Directories;

        /// <summary>Lower layers have no more say.</summary>
        public bool IsClosed;
    }
}
