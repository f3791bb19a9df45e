using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.TestKit;

/// <summary>Odd but possible trees. A seed gives the same tree on every machine.</summary>
public static class RandomTrees
{
    /// <summary>Names around "." and "..", the limits of a name, bytes that are not UTF-8.</summary>
    private static readonly string[] OddNames =
    [
        "!", "-", "--", ".!", ".-", "...", "..a", ".a", ".wh.x", "~", "\u00ff", "\u00ff\u00fe", "\u0001", " ", "a\nb", "a\\b", new string('n', 255), new string('\u00e9', 254),
    ];

    /// <param name="isMountable">Without what a mount cannot show: a 0/0 character device is a whiteout to overlayfs, and huge files cannot be read to the end.</param>
    public static FileTree Create(int seed, int names = 60, bool isMountable = false)
    {
        Random random = new(seed);
        List<Inode> linkable = [];
        return new FileTree(Directory(random, names, depth: 0, linkable, isMountable));
    }

    private static Inode Directory(Random random, int names, int depth, List<Inode> linkable, bool isMountable)
    {
        Dictionary<PosixPath, Inode> children = [];
        int count = random.Next(5) == 0 ? random.Next(names * 3) : random.Next(Math.Max(1, names / 4));
        for (int i = 0; i < count; i++)
        {
            string name = random.Next(4) == 0 ? OddNames[random.Next(OddNames.Length)] : $"name{random.Next(100_000)}" + new string('x', random.Next(3) == 0 ? random.Next(240) : 0);
            bool isDirectory = depth < 8 && random.Next(4) == 0;
            children[PosixPath.FromRaw(name)] = isDirectory
                ? Directory(random, names / 2, depth + 1, linkable, isMountable)
                : linkable.Count > 0 && random.Next(6) == 0 ? linkable[random.Next(linkable.Count)] : Leaf(random, linkable, isMountable);
        }

        return Attributes(random, FileKind.Directory, children: DirectoryEntries.Create(children));
    }

    private static Inode Leaf(Random random, List<Inode> linkable, bool isMountable)
    {
        Inode leaf = random.Next(12) switch
        {
            0 or 1 => Attributes(random, FileKind.Symlink, target: Target(random)),
            2 => Attributes(random, FileKind.CharacterDevice, major: (uint)random.Next(1, 4096), minor: (uint)random.Next(1 << 20)),
            3 => Attributes(random, FileKind.BlockDevice, major: isMountable ? 7 : (uint)random.Next(4096), minor: (uint)random.Next(1 << 20)),
            4 => Attributes(random, FileKind.Fifo),
            5 => Attributes(random, FileKind.Regular),
            _ => Attributes(random, FileKind.Regular, size: random.Next(8) == 0 && !isMountable ? random.NextInt64(1L << 43) + 1 : random.Next(1, 100_000)),
        };
        linkable.Add(leaf);
        return leaf;
    }

    private static PosixPath Target(Random random) => PosixPath.FromRaw(random.Next(10) switch
    {
        0 => new string('t', 4095),
        1 => new string('t', random.Next(3900, 4095)),
        2 => "\u00ff/\u0001",
        _ => "../" + new string('t', random.Next(1, 60)),
    });

    private static Inode Attributes(
        Random random, FileKind kind, long size = 0, PosixPath target = default, uint major = 0, uint minor = 0, DirectoryEntries? children = null)
    {
        bool isPlain = random.Next(2) == 0;
        byte[] content = new byte[8];
        random.NextBytes(content);
        return new Inode
        {
            Kind = kind,
            Mode = (ushort)(kind == FileKind.Symlink ? 0x1FF : random.Next(0x1000)),
            Uid = isPlain ? (uint)random.Next(3) : (uint)random.NextInt64(1L << 32),
            Gid = isPlain ? 0 : (uint)random.Next(1 << 17),
            MtimeSeconds = isPlain ? 1_700_000_000 : random.Next(3) == 0 ? -random.NextInt64(1L << 40) : random.NextInt64(1L << 40),
            MtimeNanoseconds = isPlain ? 0 : (uint)random.Next(1_000_000_000),
            Size = size,
            Content = kind == FileKind.Regular ? (size == 0 ? Digest.Empty : Digest.Of(content)) : default,
            LinkTarget = target,
            DeviceMajor = major,
            DeviceMinor = minor,
            Xattrs = random.Next(4) == 0 ? Xattrs(random, kind) : [],
            Children = children,
        };
    }

    private static List<Xattr> Xattrs(Random random, FileKind kind)
    {
        SortedDictionary<PosixPath, Xattr> xattrs = [];
        int count = random.Next(1, 6);
        for (int i = 0; i < count; i++)
        {
            string prefix = random.Next(3) switch { 0 when kind is FileKind.Regular or FileKind.Directory => "user.", 1 => "trusted.", _ => "security." };
            string name = prefix + random.Next(12) switch { 0 => new string('k', 255 - prefix.Length), < 6 => "label", _ => $"k{random.Next(1000)}" };
            byte[] value = new byte[random.Next(10) switch { 0 => 0, 1 => random.Next(random.Next(20) == 0 ? 65536 : 3000), < 6 => 20, _ => random.Next(100) }];
            if (value.Length != 20)
            {
                random.NextBytes(value);
            }

            xattrs[PosixPath.FromRaw(name)] = new Xattr(PosixPath.FromRaw(name), value);
        }

        return [.. xattrs.Values];
    }
}
