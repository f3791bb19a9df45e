using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>Resolves paths in a tree as the kernel does in a container whose root it is: symlinks are followed, <c>..</c> never leaves the root.</summary>
internal sealed class TreeLookup(FileTree tree)
{
    /// <summary>Linux gives up after so many symlinks (path_resolution(7)).</summary>
    private const int MaxSymlinks = 40;

    /// <summary>PATH_MAX; also bounds what a hostile chain of long symlinks can cost.</summary>
    private const int MaxPathLength = 4096;

    /// <summary>The file, not a symlink, that <paramref name="path"/> leads to, and its real path; null if there is none.</summary>
    /// <param name="path">One char per byte, as in <see cref="PosixPath.Raw"/>.</param>
    /// <param name="directory">What a relative path starts from; itself taken from the root.</param>
    public (PosixPath Path, Inode Inode)? Find(string path, string directory = "/")
    {
        if (path.Length == 0 || path.Length + directory.Length > MaxPathLength)
        {
            return null;
        }

        Stack<string> pending = new();
        Push(pending, path);
        if (path[0] != '/')
        {
            Push(pending, directory);
        }

        List<(PosixPath Path, Inode Inode)> trail = [(PosixPath.Root, tree.Root)];
        int symlinks = 0;
        while (pending.TryPop(out string? name))
        {
            if (name == "..")
            {
                if (trail.Count > 1)
                {
                    trail.RemoveAt(trail.Count - 1);
                }

                continue;
            }

            (PosixPath parent, Inode inode) = trail[^1];
            PosixPath component = PosixPath.FromRaw(name);
            if (inode.Children is null || !inode.Children.TryGetValue(component, out Inode? child))
            {
                return null;
            }

            if (child.Kind != FileKind.Symlink)
            {
                trail.Add((parent.Append(component), child));
                continue;
            }

            string target = child.LinkTarget.Raw;
            if (++symlinks > MaxSymlinks || target.Length is 0 or > MaxPathLength)
            {
                return null;
            }

            if (target[0] == '/')
            {
                trail.RemoveRange(1, trail.Count - 1);
            }

            Push(pending, target);
        }

        return trail[^1];
    }

    private static void Push(Stack<string> pending, string path)
    {
        string[] names = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        for (int i = names.Length - 1; i >= 0; i--)
        {
            if (names[i] != ".")
            {
                pending.Push(names[i]);
            }
        }
    }
}
