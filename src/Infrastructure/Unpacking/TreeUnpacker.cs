using System.Globalization;
using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.Snapshots;
using static Starlight.Infrastructure.Unpacking.Native.UnpackCalls;

namespace Starlight.Infrastructure.Unpacking;

/// <summary>
/// Builds an ordinary directory tree from a filesystem image's tree and the object store, for kernels that cannot mount the two. The result appears complete and durable, or not at all:
/// <code>
/// &lt;target&gt;.new/root    being built
/// &lt;target&gt;.new/links   inodes with several names, under a number each, until all their names are made
/// &lt;target&gt;            the tree, renamed here after a sync
/// </code>
/// Must run as root. One use per tree at a time; several trees at once are fine.
/// </summary>
internal sealed class TreeUnpacker(ObjectStore objects)
{
    private readonly ContentCopy _copy = new();

    /// <summary>Where a tree is being built. What a crash leaves there may be deleted.</summary>
    public static string UnfinishedPath(string target) => target + ".new";

    /// <summary>Builds the tree. <paramref name="target"/> does not exist; the directory above it does.</summary>
    /// <exception cref="FailureException">
    /// ResourceExhausted <c>Tree.NoSpace</c>; DataCorrupt <c>Tree.ContentMissing</c>; Unsupported <c>Tree.AttributeRefused</c>; Internal <c>Tree.NotBuilt</c>. Nothing is left then.
    /// </exception>
    /// <exception cref="OperationCanceledException">Nothing is left.</exception>
    public void Unpack(FileTree tree, string target, CancellationToken cancellationToken)
    {
        string unfinished = UnfinishedPath(target);
        DirectoryTree.Delete(unfinished);
        Directory.CreateDirectory(unfinished, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        int directory = -1;
        try
        {
            directory = Check(OpenAt(AT_FDCWD, Bytes(unfinished), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), "opening", unfinished);
            new Build(this, tree, directory, unfinished, cancellationToken).Run();

            // Everything must be on the disk before the name says that it is.
            Check(SyncFs(directory), "syncing", unfinished);
            Directory.Move(Path.Combine(unfinished, "root"), target);
            SyncDirectory(Path.GetDirectoryName(target)!);
        }
        catch (IOException e)
        {
            throw new FailureException(new Error("Tree.NotBuilt", $"building {target} failed: {e.Message}", ErrorKind.Internal), e);
        }
        finally
        {
            if (directory >= 0)
            {
                _ = Close(directory);
            }

            DirectoryTree.Delete(unfinished);
        }
    }

    private static void SyncDirectory(string path)
    {
        int fd = Check(OpenAt(AT_FDCWD, Bytes(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), "opening", path);
        try
        {
            Check(Fsync(fd), "syncing", path);
        }
        finally
        {
            _ = Close(fd);
        }
    }

    private static byte[] Bytes(string path) => [.. Encoding.UTF8.GetBytes(path), 0];

    private static int Check(int result, string action, string what)
    {
        if (result >= 0)
        {
            return result;
        }

        int errno = Errno.Last;
        throw new FailureException(errno is Errno.ENOSPC or Errno.EDQUOT
            ? new Error("Tree.NoSpace", $"{action} {what} failed: no space left; free some and pull the image again", ErrorKind.ResourceExhausted)
            : new Error("Tree.NotBuilt", $"{action} {what} failed: {Errno.Describe(errno)}", ErrorKind.Internal));
    }

    /// <summary>One tree being built.</summary>
    private sealed class Build(TreeUnpacker owner, FileTree tree, int home, string homePath, CancellationToken cancellationToken)
    {
        private static readonly byte[] LinksName = "links\0"u8.ToArray();
        private static readonly byte[] RootName = "root\0"u8.ToArray();

        /// <summary>Inodes with more than one name → their name in <c>links</c>; empty until the first is made.</summary>
        private readonly Dictionary<Inode, byte[]> _linked = new(ReferenceEqualityComparer.Instance);
        private int _links = -1;
        private int _made;

        public void Run()
        {
            FindLinks();
            Stack<Level> levels = [];
            try
            {
                if (_linked.Count > 0)
                {
                    Check(MkDirAt(home, LinksName, 0x1C0), "creating", homePath);
                    _links = Check(OpenAt(home, LinksName, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), "opening", homePath);
                }

                levels.Push(Enter(home, RootName, tree.Root));
                while (levels.TryPeek(out Level? level))
                {
                    if (level.Next < level.Entries.Count)
                    {
                        cancellationToken.ThrowIfCancellationRequested();
                        (PosixPath name, Inode inode) = level.Entries[level.Next++];
                        byte[] bytes = [.. name.ToBytes(), 0];
                        if (inode.Kind == FileKind.Directory)
                        {
                            levels.Push(Enter(level.Descriptor, bytes, inode));
                        }
                        else
                        {
                            Place(level.Descriptor, bytes, inode);
                        }

                        continue;
                    }

                    // Attributes last: making entries changes a directory's times.
                    SetAttributes(level.Parent, level.Name, level.Inode);
                    _ = Close(levels.Pop().Descriptor);
                }
            }
            finally
            {
                foreach (Level level in levels)
                {
                    _ = Close(level.Descriptor);
                }

                if (_links >= 0)
                {
                    _ = Close(_links);
                }
            }
        }

        private void FindLinks()
        {
            HashSet<Inode> seen = new(ReferenceEqualityComparer.Instance);
            Stack<DirectoryEntries> pending = [];
            pending.Push(tree.Root.Children!);
            while (pending.TryPop(out DirectoryEntries? entries))
            {
                foreach (Inode inode in entries.Inodes)
                {
                    if (inode.Children is { } children)
                    {
                        pending.Push(children);
                    }
                    else if (!seen.Add(inode))
                    {
                        _linked[inode] = [];
                    }
                }
            }
        }

        private static Level Enter(int parent, byte[] name, Inode inode)
        {
            Check(MkDirAt(parent, name, 0x1C0), "creating", Show(name));
            int fd = Check(OpenAt(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0), "opening", Show(name));
            return new Level(parent, name, inode, fd);
        }

        /// <summary>Makes a name for an inode that is no directory, and the inode at its first name.</summary>
        private void Place(int directory, byte[] name, Inode inode)
        {
            if (!_linked.TryGetValue(inode, out byte[]? shared))
            {
                Make(directory, name, inode);
                return;
            }

            if (shared.Length == 0)
            {
                shared = Bytes(_made++.ToString(CultureInfo.InvariantCulture));
                Make(_links, shared, inode);
                _linked[inode] = shared;
            }

            Check(LinkAt(_links, shared, directory, name, 0), "linking", Show(name));
        }

        private void Make(int directory, byte[] name, Inode inode)
        {
            switch (inode.Kind)
            {
                case FileKind.Regular:
                    MakeFile(directory, name, inode);
                    break;
                case FileKind.Symlink:
                    Check(SymlinkAt([.. inode.LinkTarget.ToBytes(), 0], directory, name), "creating", Show(name));
                    break;
                case FileKind.Fifo:
                    Check(MkNodAt(directory, name, S_IFIFO | 0x180, 0), "creating", Show(name));
                    break;
                case FileKind.CharacterDevice or FileKind.BlockDevice:
                    uint type = inode.Kind == FileKind.CharacterDevice ? S_IFCHR : S_IFBLK;
                    Check(MkNodAt(directory, name, type | 0x180, MakeDevice(inode.DeviceMajor, inode.DeviceMinor)), "creating", Show(name));
                    break;
                default:
                    throw new InvalidOperationException($"a tree has no {inode.Kind}");
            }

            SetAttributes(directory, name, inode);
        }

        private void MakeFile(int directory, byte[] name, Inode inode)
        {
            int to = Check(OpenAt(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0x180), "creating", Show(name));
            int from = -1;
            try
            {
                if (inode.Size == 0)
                {
                    return;
                }

                from = OpenAt(AT_FDCWD, Bytes(owner.Objects.PathOf(inode.Content)), O_RDONLY | O_CLOEXEC, 0);
                if (from < 0 && Errno.Last != Errno.ENOENT)
                {
                    Check(from, "reading the content of", Show(name));
                }

                if (from < 0 || Seek(from, 0, SEEK_END) != inode.Size)
                {
                    throw new FailureException(new Error(
                        "Tree.ContentMissing", $"the content {inode.Content} of {Show(name)} is missing or damaged on this worker: remove the image and pull it again", ErrorKind.DataCorrupt));
                }

                _ = Seek(from, 0, SEEK_SET);
                Check(owner._copy.Copy(from, to, inode.Size) ? 0 : -1, "writing", Show(name));
            }
            finally
            {
                _ = Close(to);
                if (from >= 0)
                {
                    _ = Close(from);
                }
            }
        }

        /// <summary>In this order: writing and changing the owner take away set-id bits and capabilities, and everything changes times.</summary>
        private static void SetAttributes(int directory, byte[] name, Inode inode)
        {
            Check(ChownAt(directory, name, inode.Uid, inode.Gid, AT_SYMLINK_NOFOLLOW), "changing the owner of", Show(name));
            foreach (Xattr xattr in inode.Xattrs)
            {
                // The only way to a name in a directory that all kernels have for attributes.
                byte[] path = [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{directory}/")), .. name];
                if (SetXattr(path, [.. xattr.Name.ToBytes(), 0], xattr.Value.Span) != 0)
                {
                    // not a full disk: ext4 answers ENOSPC to attributes beyond one block
                    throw new FailureException(new Error(
                        "Tree.AttributeRefused",
                        $"the file system does not take the attribute {xattr.Name} of {Show(name)} ({xattr.Value.Length} bytes): {Errno.Describe(Errno.Last)}",
                        ErrorKind.Unsupported));
                }
            }

            if (inode.Kind != FileKind.Symlink)
            {
                Check(ChmodAt(directory, name, inode.Mode, 0), "changing the mode of", Show(name));
            }

            Check(SetTimes(directory, name, inode.MtimeSeconds, inode.MtimeNanoseconds), "changing the time of", Show(name));
        }

        private static string Show(byte[] name) => $"'{Encoding.UTF8.GetString(name.AsSpan(0, name.Length - 1))}'";

        private sealed record Level(int Parent, byte[] Name, Inode Inode, int Descriptor)
        {
            public DirectoryEntries Entries => Inode.Children!;

            public int Next { get; set; }
        }
    }

    private ObjectStore Objects => objects;
}
