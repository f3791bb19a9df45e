using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Trees;

/// <summary>
/// One layer as containerd 1.6 unpacks it for its overlayfs snapshotter (archive/tar.go <c>applyNaive</c>, archive/tar_opts_linux.go
/// <c>OverlayConvertWhiteout</c>, diff/apply/apply_linux.go), entry by entry in tar order:
/// <list type="number">
/// <item>the entry's parent is resolved through symlinks of this layer only, and made if missing, with the attributes that
/// the topmost lower layer having that path gives it, else 0755 root;</item>
/// <item><c>.wh.NAME</c> becomes a whiteout and <c>.wh..wh..opq</c> makes its directory opaque. Both hide lower layers only, except in the base
/// layer: that one is unpacked into a plain directory, where they delete what came before them;</item>
/// <item>an entry replaces what has its name, but a directory entry updates a directory. A 0/0 character device is a whiteout to overlayfs;</item>
/// <item>a hard link shares its target's inode and sets that inode's attributes.</item>
/// </list>
/// More forgiving than containerd in three cases that it cannot unpack at all: a whiteout after an entry of the same name, an entry below a whiteout of its
/// own layer (both as the OCI image-spec means them, layer.md#whiteouts), and a hard link to a file that only a lower layer has.
/// </summary>
internal sealed class LayerTree
{
    private const string WhiteoutPrefix = ".wh.";
    private const string OpaqueMarker = ".wh..wh..opq";

    /// <summary>A short path can imply 2,047 directories of some 300 bytes each; ordinary layers imply a few. Arbitrary.</summary>
    internal const int MaxImplied = 1_000_000;

    /// <summary>Topmost first.</summary>
    private readonly LayerTree[] _lower;

    /// <summary>Inodes whose attributes a hard link entry has changed, with what they became. Empty for nearly every layer.</summary>
    private readonly Dictionary<Inode, Inode> _changed = new(ReferenceEqualityComparer.Instance);

    private readonly AttributePool _attributes = new();
    private readonly List<LayerEntry> _directoryEntries = [];
    private string? _lastParentPath;
    private LayerDirectory? _lastParent;
    private bool _replacedDirectory;
    private int _implied;

    /// <param name="lower">The layers below, topmost first; none for the base layer.</param>
    public LayerTree(LayerTree[] lower) => _lower = lower;

    public LayerDirectory Root { get; } = new(UnpackedInodes.DefaultDirectory);

    /// <summary>True once an entry for the root directory gave it an mtime.</summary>
    public bool HasRootEntry { get; private set; }

    private bool IsBase => _lower.Length == 0;

    public Result Unpack(IEnumerable<LayerEntry> entries)
    {
        foreach (LayerEntry entry in entries)
        {
            Result result = Unpack(entry);
            if (!result.IsSuccess)
            {
                return result;
            }
        }

        Finish();
        return Result.Success;
    }

    private Result Unpack(LayerEntry entry)
    {
        if (entry.Path.Length > LayerPaths.MaxLength)
        {
            return TreeErrors.PathTooLong(entry.Path);
        }

        if (entry.Path.IsEmpty)
        {
            // containerd ignores these ("resolved to root"): the root is the snapshot's own directory, 0755 root. Its mtime there is the
            // time of unpacking, which nothing can depend on; the entry's is at least reproducible.
            Root.Attributes = UnpackedInodes.WithMtime(Root.Attributes, entry);
            HasRootEntry = true;
            return Result.Success;
        }

        string path = entry.Path.Raw;
        int slash = path.LastIndexOf('/');
        ReadOnlySpan<char> name = path.AsSpan(slash + 1);
        if (!TryGetParent(entry.Path, path.AsSpan(0, Math.Max(slash, 0)), out LayerDirectory parent, out Error? error))
        {
            return error!;
        }

        if (name.StartsWith(WhiteoutPrefix, StringComparison.Ordinal))
        {
            return Whiteout(entry.Path, parent, name);
        }

        if (entry.Kind == FileKind.HardLink)
        {
            return Link(entry, parent, name);
        }

        parent.TryGet(name, out LayerNode existing);
        if (entry.Kind == FileKind.Directory)
        {
            if (existing.Directory is { } directory)
            {
                directory.Attributes = UnpackedInodes.UpdateDirectory(directory.Attributes, entry);
                directory.IsImplied = false;
            }
            else
            {
                parent.Set(name, new LayerNode(new LayerDirectory(UnpackedInodes.Create(entry, _attributes))));
            }

            _directoryEntries.Add(entry);
            return Result.Success;
        }

        Forget(existing);
        Inode inode = UnpackedInodes.Create(entry, _attributes);
        bool isWhiteout = inode is { Kind: FileKind.CharacterDevice, DeviceMajor: 0, DeviceMinor: 0 };
        parent.Set(name, isWhiteout ? LayerNode.Whiteout : new LayerNode(inode));
        return Result.Success;
    }

    private Result Whiteout(PosixPath path, LayerDirectory parent, ReadOnlySpan<char> name)
    {
        if (name is OpaqueMarker)
        {
            if (IsBase)
            {
                RemoveImplied(parent);
            }
            else
            {
                parent.IsOpaque = true;
            }

            return Result.Success;
        }

        ReadOnlySpan<char> hidden = name[WhiteoutPrefix.Length..];
        if (hidden is "" or "." or "..")
        {
            return TreeErrors.WhiteoutInvalid(path);
        }

        bool exists = parent.TryGet(hidden, out LayerNode existing);
        if (IsBase)
        {
            Forget(existing);
            parent.Nodes.Remove(hidden);
        }
        else if (!exists)
        {
            parent.Set(hidden, LayerNode.Whiteout);
        }
        else if (existing.Directory is not null)
        {
            existing.Directory.IsOpaque = true;
        }

        return Result.Success;
    }

    private Result Link(LayerEntry entry, LayerDirectory parent, ReadOnlySpan<char> name)
    {
        if (parent.TryGet(name, out LayerNode existing))
        {
            Forget(existing);
            parent.Nodes.Remove(name);
        }

        string targetPath = entry.LinkTarget.Raw;
        int slash = targetPath.LastIndexOf('/');
        string targetName = targetPath[(slash + 1)..];
        LayerNode target = default;
        bool found = LayerPaths.TryFind(Root, targetPath[..Math.Max(slash, 0)], out LayerNode targetParent)
            && targetParent.Directory is not null && targetParent.Directory.TryGet(targetName, out target);
        if (!found)
        {
            // containerd gives up here. A link(2) inside the running container would copy the target up and link to the copy.
            target = FindInLower(entry.LinkTarget);
        }

        if (target.Directory is not null)
        {
            return TreeErrors.HardLinkToDirectory(entry.Path, entry.LinkTarget);
        }

        if (target.Inode is null)
        {
            return TreeErrors.HardLinkTargetMissing(entry.Path, entry.LinkTarget);
        }

        Inode current = Current(target.Inode);
        Inode relinked = UnpackedInodes.Relink(current, entry);
        if (!ReferenceEquals(relinked, current) && found)
        {
            _changed.Add(current, relinked);
        }

        parent.Set(name, new LayerNode(relinked));
        if (!found && !ReferenceEquals(relinked, current))
        {
            ReadOnlySpan<char> copyUpPath = entry.LinkTarget.Parent.Raw;
            if (!TryGetParent(entry.Path, copyUpPath, out LayerDirectory copyUpParent, out Error? error))
            {
                return error!;
            }

            copyUpParent.Set(targetName, new LayerNode(relinked));
        }

        return Result.Success;
    }

    private LayerNode FindInLower(PosixPath path) =>
        TreeMerger.TryFind([Root, .. _lower.Select(static layer => layer.Root)], path, out LayerNode node) ? node : default;

    /// <summary>The directory an entry goes into, made with its parents if missing (<c>mkparent</c>).</summary>
    private bool TryGetParent(PosixPath entry, ReadOnlySpan<char> path, out LayerDirectory parent, out Error? error)
    {
        error = null;
        if (_lastParent is not null && path.SequenceEqual(_lastParentPath))
        {
            parent = _lastParent;
            return true;
        }

        string parentPath = path.ToString();
        if (!Root.TryGetDirectory(path, out LayerDirectory? found))
        {
            error = MakeParents(entry, parentPath, out found);
        }

        parent = found!;
        if (error is null)
        {
            _lastParentPath = parentPath;
            _lastParent = parent;
        }

        return error is null;
    }

    private Error? MakeParents(PosixPath entry, string path, out LayerDirectory? parent)
    {
        parent = null;
        if (LayerPaths.Resolve(Root, path) is not { } components)
        {
            return TreeErrors.TooManySymlinks(entry);
        }

        // Symlinks can name a longer path than the entry does.
        if (components.Sum(static component => component.Length + 1) > LayerPaths.MaxLength)
        {
            return TreeErrors.PathTooLong(entry);
        }

        LayerDirectory at = Root;
        for (int i = 0; i < components.Count; i++)
        {
            string name = components[i];
            if (at.TryGet(name, out LayerNode node) && !node.IsWhiteout)
            {
                if (node.Directory is null)
                {
                    return TreeErrors.ParentNotDirectory(entry);
                }

                at = node.Directory;
                continue;
            }

            bool wasWhiteout = at.TryGet(name, out _);
            LayerDirectory made = new(wasWhiteout || IsBase ? UnpackedInodes.DefaultDirectory : InheritedAttributes(components[..(i + 1)]))
            {
                IsImplied = true,
                IsOpaque = wasWhiteout,
            };
            at.Set(name, new LayerNode(made));
            if (++_implied > MaxImplied)
            {
                return TreeErrors.TooManyDirectories(entry);
            }

            at = made;
        }

        parent = at;
        return null;
    }

    /// <summary>
    /// containerd looks the path up in each lower layer's own directory, the topmost first, not in their union: an opaque directory in
    /// between does not matter, something that is no directory ends the search.
    /// </summary>
    private Inode InheritedAttributes(List<string> components)
    {
        string path = string.Join('/', components);
        foreach (LayerTree layer in _lower)
        {
            if (LayerPaths.TryFind(layer.Root, path, out LayerNode node))
            {
                return node.Directory?.Attributes ?? UnpackedInodes.DefaultDirectory;
            }
        }

        return UnpackedInodes.DefaultDirectory;
    }

    /// <summary>An opaque marker in the base layer deletes below its directory everything without an entry of its own, that is: implied directories.</summary>
    private void RemoveImplied(LayerDirectory directory)
    {
        for (int entry = 0; entry < directory.Nodes.Count; entry++)
        {
            LayerNode node = directory.Nodes.Value(entry);
            if (node.Directory is { IsImplied: true })
            {
                Forget(node);
                directory.Nodes.Remove(entry);
            }
            else if (node.Directory is not null)
            {
                RemoveImplied(node.Directory);
            }
        }
    }

    /// <summary>To be called when a node loses its name.</summary>
    private void Forget(LayerNode node)
    {
        if (node.Directory is not null)
        {
            _replacedDirectory = true;
            _lastParent = null;
        }
    }

    private Inode Current(Inode inode)
    {
        while (_changed.TryGetValue(inode, out Inode? newer))
        {
            inode = newer;
        }

        return inode;
    }

    private void Finish()
    {
        if (_changed.Count > 0)
        {
            ApplyChanges(Root);
            _changed.Clear();
        }

        if (_replacedDirectory)
        {
            RepeatDirectoryTimes();
        }

        Root.Trim();
        _directoryEntries.Clear();
        _directoryEntries.TrimExcess();
        _lastParent = null;
        _lastParentPath = null;
    }

    private void ApplyChanges(LayerDirectory directory)
    {
        for (int entry = 0; entry < directory.Nodes.Count; entry++)
        {
            ref LayerNode node = ref directory.Nodes.Value(entry);
            if (node.Directory is not null)
            {
                ApplyChanges(node.Directory);
            }
            else if (node.Inode is not null && _changed.ContainsKey(node.Inode))
            {
                node = new LayerNode(Current(node.Inode));
            }
        }
    }

    /// <summary>
    /// containerd sets the times of directories last, by the path of each directory entry. That matters only if such a path has come to
    /// mean another directory since (its first one was replaced and made again by implication).
    /// </summary>
    private void RepeatDirectoryTimes()
    {
        foreach (LayerEntry entry in _directoryEntries)
        {
            if (LayerPaths.TryFind(Root, entry.Path.Raw, out LayerNode node) && node.Directory is not null)
            {
                node.Directory.Attributes = UnpackedInodes.WithMtime(node.Directory.Attributes, entry);
            }
        }
    }
}
