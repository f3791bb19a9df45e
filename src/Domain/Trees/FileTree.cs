using System.Diagnostics.CodeAnalysis;

namespace Starlight.Domain.Trees;

/// <summary>The tree a container sees: all layers applied, whiteouts and opaque directories resolved. Immutable.</summary>
/// <param name="Root">The root directory.</param>
public sealed record FileTree(Inode Root)
{
    /// <summary>How many names below the root are not directories.</summary>
    public int CountFiles()
    {
        int count = 0;
        Stack<DirectoryEntries> pending = new([Root.Children ?? DirectoryEntries.Empty]);
        while (pending.TryPop(out DirectoryEntries? directory))
        {
            foreach (Inode inode in directory.Inodes)
            {
                if (inode.Children is { } children)
                {
                    pending.Push(children);
                }
                else
                {
                    count++;
                }
            }
        }

        return count;
    }

    /// <summary>Every name below the root with its inode, depth first, names in byte order; the root itself first with an empty path.</summary>
    public IEnumerable<(PosixPath Path, Inode Inode)> Walk()
    {
        Stack<(PosixPath Path, Inode Inode)> pending = new();
        pending.Push((PosixPath.Root, Root));
        while (pending.TryPop(out (PosixPath Path, Inode Inode) next))
        {
            yield return next;
            if (next.Inode.Children is { } children)
            {
                for (int i = children.Count - 1; i >= 0; i--)
                {
                    pending.Push((next.Path.Append(children[i].Key), children[i].Value));
                }
            }
        }
    }

    /// <summary>The inode at a clean path. Symlinks are not followed.</summary>
    public bool TryFind(PosixPath path, [NotNullWhen(true)] out Inode? inode)
    {
        inode = Root;
        if (path.IsEmpty)
        {
            return true;
        }

        foreach (string name in path.Raw.Split('/'))
        {
            if (inode?.Children is null || !inode.Children.TryGetValue(PosixPath.FromRaw(name), out inode))
            {
                inode = null;
                return false;
            }
        }

        return inode is not null;
    }
}
