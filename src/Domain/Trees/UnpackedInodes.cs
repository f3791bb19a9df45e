using Starlight.Domain.Content;

namespace Starlight.Domain.Trees;

/// <summary>What an inode looks like after containerd created it from a tar header (archive/tar.go, <c>createTarFile</c>, as root on Linux).</summary>
internal static class UnpackedInodes
{
    /// <summary><c>mkparent</c>: "default permissions(0755) used". The real one carries the time of unpacking; ours has to be reproducible.</summary>
    public static Inode DefaultDirectory { get; } = new() { Kind = FileKind.Directory, Mode = 0x1ED };

    private static readonly PosixPath Capability = PosixPath.FromRaw("security.capability");

    public static Inode Create(LayerEntry entry, AttributePool attributes)
    {
        bool isDevice = entry.Kind is FileKind.CharacterDevice or FileKind.BlockDevice;
        (long seconds, uint nanoseconds) = Mtime(entry);
        InodeAttributes own = new()
        {
            Kind = entry.Kind,
            Mode = Mode(entry.Kind, entry.Mode),
            Uid = entry.Uid,
            Gid = entry.Gid,
            MtimeSeconds = seconds,
            MtimeNanoseconds = nanoseconds,
        };
        return new Inode(attributes.Share(own))
        {
            Size = entry.Kind == FileKind.Regular ? entry.Size : 0,
            Content = entry.Kind == FileKind.Regular ? entry.Content : default,
            LinkTarget = entry.Kind == FileKind.Symlink ? entry.LinkTarget : default,

            // mknod(2) takes a 32-bit dev_t: 12 bits of major, 20 of minor (Linux, new_decode_dev).
            DeviceMajor = isDevice ? entry.DeviceMajor & 0xFFF : 0,
            DeviceMinor = isDevice ? entry.DeviceMinor & 0xFFFFF : 0,
            Xattrs = StorableXattrs(entry.Kind, entry.Xattrs),
        };
    }

    /// <summary>A directory entry for a directory that is there already: attributes replaced, xattrs added to what it has.</summary>
    public static Inode UpdateDirectory(Inode directory, LayerEntry entry)
    {
        (long seconds, uint nanoseconds) = Mtime(entry);
        return new Inode
        {
            Kind = FileKind.Directory,
            Mode = Mode(FileKind.Directory, entry.Mode),
            Uid = entry.Uid,
            Gid = entry.Gid,
            MtimeSeconds = seconds,
            MtimeNanoseconds = nanoseconds,
            Xattrs = Union(directory.Xattrs, StorableXattrs(FileKind.Directory, entry.Xattrs)),
        };
    }

    /// <summary>The same directory with another mtime.</summary>
    public static Inode WithMtime(Inode directory, LayerEntry entry)
    {
        (long seconds, uint nanoseconds) = Mtime(entry);
        return new Inode
        {
            Kind = FileKind.Directory,
            Mode = directory.Mode,
            Uid = directory.Uid,
            Gid = directory.Gid,
            MtimeSeconds = seconds,
            MtimeNanoseconds = nanoseconds,
            Xattrs = directory.Xattrs,
        };
    }

    /// <summary>
    /// The inode after a hard link entry: containerd applies the entry's owner, mode, times and xattrs to the inode it linked to. The
    /// <c>lchown</c> on the way makes the kernel drop file capabilities (fs/open.c, <c>chown_common</c>), so only an entry that repeats them
    /// keeps them. Returns <paramref name="target"/> itself if nothing changes, which is the rule.
    /// </summary>
    public static Inode Relink(Inode target, LayerEntry entry)
    {
        ushort mode = Mode(target.Kind, entry.Mode);
        (long seconds, uint nanoseconds) = Mtime(entry);
        IReadOnlyList<Xattr> kept = target.Xattrs.Any(static xattr => xattr.Name == Capability)
            ? [.. target.Xattrs.Where(static xattr => xattr.Name != Capability)]
            : target.Xattrs;
        IReadOnlyList<Xattr> xattrs = Union(kept, StorableXattrs(target.Kind, entry.Xattrs));
        if (mode == target.Mode && entry.Uid == target.Uid && entry.Gid == target.Gid && seconds == target.MtimeSeconds
            && nanoseconds == target.MtimeNanoseconds && SameXattrs(xattrs, target.Xattrs))
        {
            return target;
        }

        return new Inode
        {
            Kind = target.Kind,
            Mode = mode,
            Uid = entry.Uid,
            Gid = entry.Gid,
            MtimeSeconds = seconds,
            MtimeNanoseconds = nanoseconds,
            Size = target.Size,
            Content = target.Content,
            LinkTarget = target.LinkTarget,
            DeviceMajor = target.DeviceMajor,
            DeviceMinor = target.DeviceMinor,
            Xattrs = xattrs,
        };
    }

    /// <summary>containerd never calls chmod on a symlink; Linux shows every one as 0777.</summary>
    private static ushort Mode(FileKind kind, ushort mode) => kind == FileKind.Symlink ? (ushort)0x1FF : (ushort)(mode & 0xFFF);

    /// <summary>archive/time.go, <c>boundTime</c>: what lies before 1970 or after 2^63−1 ns becomes the epoch.</summary>
    private static (long Seconds, uint Nanoseconds) Mtime(LayerEntry entry)
    {
        const long lastSecond = long.MaxValue / 1_000_000_000;
        const uint lastNanosecond = (uint)(long.MaxValue % 1_000_000_000);
        bool inRange = entry.MtimeSeconds >= 0
            && (entry.MtimeSeconds < lastSecond || (entry.MtimeSeconds == lastSecond && entry.MtimeNanoseconds <= lastNanosecond));
        return inRange ? (entry.MtimeSeconds, entry.MtimeNanoseconds) : (0, 0);
    }

    /// <summary>
    /// containerd refuses <c>trusted.*</c> (archive/tar_unix.go, <c>setxattr</c>), so overlayfs's own attributes never come out of a layer,
    /// and goes on without what the kernel does not take: <c>user.*</c> on anything but files and directories, ACLs on
    /// symlinks, unknown namespaces.
    /// </summary>
    private static IReadOnlyList<Xattr> StorableXattrs(FileKind kind, IReadOnlyList<Xattr> xattrs)
    {
        for (int i = 0; i < xattrs.Count; i++)
        {
            if (!IsStorable(kind, xattrs[i].Name.Raw))
            {
                return [.. xattrs.Where(xattr => IsStorable(kind, xattr.Name.Raw))];
            }
        }

        return xattrs;
    }

    private static bool IsStorable(FileKind kind, string name) => name switch
    {
        "system.posix_acl_access" => kind != FileKind.Symlink,
        "system.posix_acl_default" => kind == FileKind.Directory,
        _ when name.StartsWith("user.", StringComparison.Ordinal) => name.Length > 5 && kind is FileKind.Regular or FileKind.Directory,
        _ => name.StartsWith("security.", StringComparison.Ordinal) && name.Length > 9,
    };

    private static IReadOnlyList<Xattr> Union(IReadOnlyList<Xattr> old, IReadOnlyList<Xattr> added)
    {
        if (added.Count == 0 || old.Count == 0)
        {
            return added.Count == 0 ? old : added;
        }

        SortedDictionary<PosixPath, Xattr> union = [];
        foreach (Xattr xattr in old)
        {
            union[xattr.Name] = xattr;
        }

        foreach (Xattr xattr in added)
        {
            union[xattr.Name] = xattr;
        }

        return [.. union.Values];
    }

    private static bool SameXattrs(IReadOnlyList<Xattr> left, IReadOnlyList<Xattr> right)
    {
        if (ReferenceEquals(left, right))
        {
            return true;
        }

        if (left.Count != right.Count)
        {
            return false;
        }

        for (int i = 0; i < left.Count; i++)
        {
            if (left[i].Name != right[i].Name || !left[i].Value.Span.SequenceEqual(right[i].Value.Span))
            {
                return false;
            }
        }

        return true;
    }
}
