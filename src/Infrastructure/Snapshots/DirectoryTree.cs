using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Infrastructure.Native;
using Starlight.Infrastructure.Snapshots.Native;
using static Starlight.Infrastructure.Snapshots.Native.DirectoryCalls;

namespace Starlight.Infrastructure.Snapshots;

/// <summary>
/// Measures and deletes the trees containers leave behind. Both are safe against whatever is in there: names that are no UTF-8, symbolic links, and directories nested so
/// deep that a recursive walk would run out of stack or path length.
/// </summary>
internal static class DirectoryTree
{
    /// <summary>
    /// Most levels <see cref="Measure"/> goes down, each of which costs a descriptor: as deep as a path of PATH_MAX bytes can reach, which is where containerd's own walk ends.
    /// </summary>
    private const int MaxDepth = 2048;

    /// <summary>
    /// Allocated bytes and inodes below and including <paramref name="path"/>, each inode once (continuity fs/du_unix.go). What vanishes during the walk is skipped.
    /// Fails with NotFound if <paramref name="path"/> itself is missing, ResourceExhausted if it is nested too deep.
    /// </summary>
    /// <exception cref="FailureException"/>
    public static SnapshotUsage Measure(string path, CancellationToken cancellationToken)
    {
        long size = 0;
        HashSet<(ulong Device, ulong Inode)> seen = [];
        if (FileStatus.Read(path, out FileStatus root) is < 0 and var missing)
        {
            throw missing == -ENOENT
                ? new FailureException(new Error("SnapshotDirectory.Missing", $"{path} is gone: the snapshot's files were deleted behind the daemon's back", ErrorKind.NotFound))
                : Failure("measure", path, -missing);
        }

        Count(root);

        // Each level is opened from the one above, so no path ever grows long.
        Stack<Level> levels = [];
        try
        {
            Descend(AT_FDCWD, Bytes(path));
            while (levels.TryPeek(out Level? level))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (level.Subdirectories.TryPop(out byte[]? name))
                {
                    Descend(level.Descriptor, name);
                }
                else
                {
                    Close(levels.Pop().Descriptor);
                }
            }
        }
        finally
        {
            foreach (Level level in levels)
            {
                Close(level.Descriptor);
            }
        }

        return new SnapshotUsage(size, seen.Count);

        void Count(FileStatus status)
        {
            if (seen.Add((status.Device, status.Inode)))
            {
                size += (long)status.Blocks * 512;
            }
        }

        void Descend(int at, byte[] name)
        {
            if (levels.Count == MaxDepth)
            {
                throw new FailureException(new Error(
                    "SnapshotDirectory.TooDeep", $"{path} has directories nested deeper than {MaxDepth} levels: it cannot be measured", ErrorKind.ResourceExhausted));
            }

            int fd = OpenDirectory(at, name);
            if (fd is -ENOENT or -ENOTDIR)
            {
                return;
            }

            if (fd < 0)
            {
                throw Failure("measure", $"{path}: {Show(name)}", -fd);
            }

            var level = new Level(fd, []);
            levels.Push(level);
            foreach (DirectoryEntry entry in Entries(fd, path))
            {
                if (FileStatus.Read(fd, entry.Name, out FileStatus status) is < 0 and var error)
                {
                    if (error == -ENOENT)
                    {
                        continue;
                    }

                    throw Failure("measure", $"{path}: {Show(entry.Name)}", -error);
                }

                Count(status);
                if (entry.Type == DT_DIR)
                {
                    level.Subdirectories.Push(entry.Name);
                }
            }
        }
    }

    /// <summary>
    /// Deletes <paramref name="path"/> and all in it; fine if it is not there. Never goes deeper than one level: a directory that is not empty is first moved up into
    /// <paramref name="path"/>, so depth does not matter.
    /// </summary>
    /// <exception cref="FailureException"/>
    public static void Delete(string path)
    {
        int top = OpenDirectory(AT_FDCWD, Bytes(path));
        if (top == -ENOENT)
        {
            return;
        }

        if (top < 0)
        {
            // Not a directory: a stray file in the snapshots directory.
            Check(Unlink(AT_FDCWD, Bytes(path), directory: false), "delete", path);
            return;
        }

        try
        {
            int moves = 0;
            Stack<byte[]> full = [];
            Empty(top, name => full.Push(name), path);
            while (full.TryPop(out byte[]? directory))
            {
                int fd = OpenDirectory(top, directory);
                if (fd == -ENOENT)
                {
                    continue;
                }

                Check(Math.Min(fd, 0), "open", $"{path}: {Show(directory)}");
                try
                {
                    Empty(fd, name => full.Push(MoveUp(fd, name)), path);
                }
                finally
                {
                    Close(fd);
                }

                Check(Unlink(top, directory, directory: true), "delete", $"{path}: {Show(directory)}");
            }

            byte[] MoveUp(int from, byte[] name)
            {
                while (true)
                {
                    byte[] moved = Bytes($".delete-{moves++}");
                    int result = Rename(from, name, top, moved);
                    if (result is -EEXIST or -ENOTEMPTY or -ENOTDIR or -EISDIR)
                    {
                        continue;
                    }

                    Check(result, "move", $"{path}: {Show(name)}");
                    return moved;
                }
            }
        }
        finally
        {
            Close(top);
        }

        Check(Unlink(AT_FDCWD, Bytes(path), directory: true), "delete", path);
    }

    /// <summary>Deletes what can be deleted at once and hands the rest, directories that are not empty, to <paramref name="notEmpty"/>.</summary>
    private static void Empty(int fd, Action<byte[]> notEmpty, string path)
    {
        foreach (DirectoryEntry entry in Entries(fd, path))
        {
            int result = entry.Type == DT_DIR ? -EISDIR : Unlink(fd, entry.Name, directory: false);
            if (result == -EISDIR)
            {
                result = Unlink(fd, entry.Name, directory: true);
                if (result is -ENOTEMPTY or -EEXIST)
                {
                    notEmpty(entry.Name);
                    continue;
                }
            }

            Check(result, "delete", $"{path}: {Show(entry.Name)}");
        }
    }

    private static void Check(int result, string verb, string path)
    {
        if (result < 0 && result != -ENOENT)
        {
            throw Failure(verb, path, -result);
        }
    }

    private static string Show(byte[] name) => Encoding.UTF8.GetString(name.AsSpan(0, name.Length - 1));

    private sealed record Level(int Descriptor, Stack<byte[]> Subdirectories);
}
