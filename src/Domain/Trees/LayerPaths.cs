namespace Starlight.Domain.Trees;

/// <summary>
/// Paths inside one unpacked layer, its symlinks followed and bounded to its root, as containerd's <c>fs.RootPath</c> follows them while
/// it unpacks. Symlinks of other layers play no part: containerd unpacks every layer into a directory of its own.
/// </summary>
internal static class LayerPaths
{
    /// <summary>As in containerd's continuity library (fs/path.go, <c>walkLink</c>).</summary>
    public const int MaxSymlinks = 255;

    /// <summary>PATH_MAX without the terminating zero. It bounds the depth of every tree, and so of every recursion over one, to 2,048.</summary>
    public const int MaxLength = 4095;

    /// <summary>
    /// The components of <paramref name="path"/> with every symlink replaced, the last one too. A component that does not exist, or lies
    /// below something that is not a directory, stays as it is. Null if there are too many symlinks.
    /// </summary>
    public static List<string>? Resolve(LayerDirectory root, string path)
    {
        List<string> resolved = [];
        List<LayerDirectory?> directories = [root];
        Stack<string> pending = new();
        PushComponents(pending, path);
        int symlinks = 0;
        while (pending.TryPop(out string? name))
        {
            if (name.Length == 0 || name == ".")
            {
                continue;
            }

            if (name == "..")
            {
                if (resolved.Count > 0)
                {
                    resolved.RemoveAt(resolved.Count - 1);
                    directories.RemoveAt(directories.Count - 1);
                }

                continue;
            }

            LayerNode node = default;
            bool exists = directories[^1] is { } directory && directory.TryGet(name, out node);
            if (exists && node.Inode is { Kind: FileKind.Symlink } symlink)
            {
                if (++symlinks > MaxSymlinks)
                {
                    return null;
                }

                if (symlink.LinkTarget.Raw.StartsWith('/'))
                {
                    resolved.Clear();
                    directories.RemoveRange(1, directories.Count - 1);
                }

                PushComponents(pending, symlink.LinkTarget.Raw);
                continue;
            }

            resolved.Add(name);
            directories.Add(node.Directory);
        }

        return resolved;
    }

    /// <summary>What lies at <paramref name="path"/>, symlinks followed; false if nothing does.</summary>
    public static bool TryFind(LayerDirectory root, string path, out LayerNode node)
    {
        if (root.TryGetDirectory(path, out LayerDirectory? direct))
        {
            node = new LayerNode(direct);
            return true;
        }

        node = default;
        return Resolve(root, path) is { } components && TryFind(root, components, out node);
    }

    /// <summary>What lies at resolved components; false if nothing does.</summary>
    public static bool TryFind(LayerDirectory root, List<string> components, out LayerNode node)
    {
        node = new LayerNode(root);
        foreach (string name in components)
        {
            if (node.Directory is null || !node.Directory.TryGet(name, out node))
            {
                node = default;
                return false;
            }
        }

        return true;
    }

    private static void PushComponents(Stack<string> pending, string path)
    {
        string[] components = path.Split('/');
        for (int i = components.Length - 1; i >= 0; i--)
        {
            pending.Push(components[i]);
        }
    }
}
