using System.Globalization;
using Starlight.Domain.Trees;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.TestKit;

/// <summary>A stack of layers, base first, and the names a container must see in it.</summary>
/// <param name="Expected">Lines of <see cref="MergeCases.Describe"/>.</param>
public sealed record MergeCase(string Name, LayerEntry[][] Layers, string[] Expected)
{
    /// <summary>
    /// Directories whose mtime is the time of unpacking under containerd (made by implication, or the root) and fixed in our trees.
    /// </summary>
    public string[] UnstableMtimes { get; init; } = [];

    /// <summary>containerd cannot unpack these layers; ours is the more forgiving answer.</summary>
    public bool IsRefusedByContainerd { get; init; }
}

/// <summary>The rules of unpacking and stacking layers, one case each.</summary>
public static class MergeCases
{
    private const string Root = ". d755 0:0 @0";

    public static IReadOnlyList<MergeCase> All { get; } =
    [
        new("later layer wins", [[Dir("d"), File("d/a", "1"), File("d/b", "1")], [Dir("d", mtime: 200), File("d/a", "22", mode: "600", uid: 5, gid: 6)]],
            [Root, "d d755 0:0 @200", "d/a f600 5:6 @100 2", "d/b f644 0:0 @100 1"]),
        new("whiteout hides lower file and directory", [[File("a"), Dir("d"), File("d/x"), File("k")], [File(".wh.a"), File(".wh.d")]],
            [Root, "k f644 0:0 @100"]),
        new("whiteout of nothing", [[File("a")], [File(".wh.b")]], [Root, "a f644 0:0 @100"]),
        new("whiteout then entry in one layer replaces the file", [[File("a", "old")], [File(".wh.a"), File("a", "n")]], [Root, "a f644 0:0 @100 1"]),
        new("whiteout then directory in one layer still merges", [[Dir("d"), File("d/x")], [File(".wh.d"), Dir("d", mode: "700")]],
            [Root, "d d700 0:0 @100", "d/x f644 0:0 @100"]),
        new("entry then whiteout keeps the entry", [[File("a", "old"), Dir("d"), File("d/x")], [File("a", "n"), File(".wh.a"), Dir("d"), File("d/y"), File(".wh.d")]],
            [Root, "a f644 0:0 @100 1", "d d755 0:0 @100", "d/y f644 0:0 @100"]) { IsRefusedByContainerd = true },
        new("entry below a whiteout of its layer", [[Dir("d"), File("d/x")], [File(".wh.d"), File("d/y")]],
            [Root, "d d755 0:0 @0", "d/y f644 0:0 @100"]) { IsRefusedByContainerd = true },
        new("whiteout in the base layer deletes what came before", [[File("a"), File(".wh.a"), File(".wh.b"), File("b"), File("d/x"), File(".wh.d")]],
            [Root, "b f644 0:0 @100"]),
        new("whiteout in the base layer deletes a directory entry", [[File("b"), Dir("d"), File("d/x"), File(".wh.d")]],
            [Root, "b f644 0:0 @100"]) { IsRefusedByContainerd = true },
        new("opaque directory", [[Dir("d"), File("d/x"), Dir("d/s"), File("d/s/y")], [Dir("d", mode: "711"), File("d/.wh..wh..opq"), File("d/z")]],
            [Root, "d d711 0:0 @100", "d/z f644 0:0 @100"]),
        new("opaque marker after the entries it keeps", [[Dir("d"), File("d/x")], [Dir("d"), File("d/z"), Dir("d/s"), File("d/.wh..wh..opq"), File("d/zz")]],
            [Root, "d d755 0:0 @100", "d/s d755 0:0 @100", "d/z f644 0:0 @100", "d/zz f644 0:0 @100"]),
        new("opaque in the middle layer", [[Dir("d"), File("d/x")], [Dir("d"), File("d/.wh..wh..opq"), File("d/y")], [Dir("d", mtime: 300), File("d/z")]],
            [Root, "d d755 0:0 @300", "d/y f644 0:0 @100", "d/z f644 0:0 @100"]),
        new("opaque in the base layer removes implied directories only", [[File("d/i/x"), Dir("d/e"), File("d/e/y"), File("d/f"), File("d/.wh..wh..opq")]],
            [Root, "d d755 0:0 @0", "d/e d755 0:0 @100", "d/e/y f644 0:0 @100", "d/f f644 0:0 @100"]) { UnstableMtimes = ["d"] },
        new("opaque root has no effect", [[File("a")], [File(".wh..wh..opq"), File("b")]], [Root, "a f644 0:0 @100", "b f644 0:0 @100"]),
        new("opaque directory replaced in its layer merges again", [[Dir("d"), File("d/x")], [Dir("d"), File("d/.wh..wh..opq"), File("d"), Dir("d")]],
            [Root, "d d755 0:0 @100", "d/x f644 0:0 @100"]),
        new("aufs metadata is a whiteout like any other", [[File(".wh.aufs2"), File("a"), File(".wh.keep")], [File(".wh..wh.aufs"), File(".wh..wh.orph")]],
            [Root, "a f644 0:0 @100"]),
        new("file replaces directory", [[Dir("d"), File("d/x")], [File("d", "f")]], [Root, "d f644 0:0 @100 1"]),
        new("directory replaces file", [[File("d", "f")], [Dir("d", mode: "1777"), File("d/x")]], [Root, "d d1777 0:0 @100", "d/x f644 0:0 @100"]),
        new("file in between cuts the merge", [[Dir("d"), File("d/x")], [File("d")], [Dir("d"), File("d/y")]], [Root, "d d755 0:0 @100", "d/y f644 0:0 @100"]),
        new("whiteout in between cuts the merge", [[Dir("d"), File("d/x")], [File(".wh.d")], [Dir("d"), File("d/y")]], [Root, "d d755 0:0 @100", "d/y f644 0:0 @100"]),
        new("layer without the directory does not cut the merge", [[Dir("d"), File("d/x")], [File("o")], [Dir("d"), File("d/y")]],
            [Root, "d d755 0:0 @100", "d/x f644 0:0 @100", "d/y f644 0:0 @100", "o f644 0:0 @100"]),
        new("repeated entries: last wins", [[File("a", "1"), File("a", "22", mode: "4755", mtime: 7), Dir("d", mtime: 1), File("d/x"), Dir("d", mode: "2750", uid: 3, mtime: 2)]],
            [Root, "a f4755 0:0 @7 2", "d d2750 3:0 @2", "d/x f644 0:0 @100"]),
        new("repeated directory keeps and adds xattrs", [[Dir("d", xattrs: [Attribute("user.a", "1"), Attribute("user.b", "1")]), Dir("d", xattrs: [Attribute("user.b", "2")])]],
            [Root, "d d755 0:0 @100 user.a=1 user.b=2"]),
        new("upper directory entry drops lower xattrs", [[Dir("d", xattrs: Attribute("user.a", "1"))], [Dir("d")]], [Root, "d d755 0:0 @100"]),
        new("implied parents nobody has", [[File("p/q/a")]], [Root, "p d755 0:0 @0", "p/q d755 0:0 @0", "p/q/a f644 0:0 @100"]) { UnstableMtimes = ["p", "p/q"] },
        new("implied parents take a lower layer's attributes",
            [[Dir("p", mode: "3770", uid: 4, gid: 5, mtime: 9, xattrs: Attribute("user.k", "v")), Dir("p/q", mode: "700"), File("p/q/a")], [File("p/q/b"), File("p/q/.wh.a")]],
            [Root, "p d3770 4:5 @9 user.k=v", "p/q d700 0:0 @100", "p/q/b f644 0:0 @100"]) { UnstableMtimes = ["p", "p/q"] },
        new("implied parents look through opaque layers", [[Dir("p"), Dir("p/q", mode: "711")], [Dir("p", mode: "701"), File("p/.wh..wh..opq")], [File("p/q/a")]],
            [Root, "p d701 0:0 @100", "p/q d711 0:0 @100", "p/q/a f644 0:0 @100"]) { UnstableMtimes = ["p", "p/q"] },
        new("implied parent over a lower file", [[File("p")], [File("p/a")]], [Root, "p d755 0:0 @0", "p/a f644 0:0 @100"]) { UnstableMtimes = ["p"] },
        new("implied parent over a lower whiteout", [[Dir("p", mode: "700")], [File(".wh.p")], [File("p/a")]], [Root, "p d755 0:0 @0", "p/a f644 0:0 @100"]) { UnstableMtimes = ["p"] },
        new("implied parent over a lower symlink replaces it", [[Dir("u", mode: "711"), File("u/x"), Symlink("l", "u")], [File("l/a")]],
            [Root, "l d711 0:0 @100", "l/a f644 0:0 @100", "u d711 0:0 @100", "u/x f644 0:0 @100"]) { UnstableMtimes = ["l"] },
        new("implied then explicit directory", [[File("p/a"), Dir("p", mode: "1700", mtime: 8)]], [Root, "p d1700 0:0 @8", "p/a f644 0:0 @100"]),
        new("parent through a symlink of the same layer", [[Dir("u"), Dir("u/lib", mtime: 3), Symlink("lib", "/u/lib"), File("lib/a"), Symlink("u/up", "../u/lib"), File("u/up/b")]],
            [Root, "lib l777 0:0 @100 -> /u/lib", "u d755 0:0 @100", "u/lib d755 0:0 @3", "u/lib/a f644 0:0 @100", "u/lib/b f644 0:0 @100", "u/up l777 0:0 @100 -> ../u/lib"]),
        new("parent through a dangling symlink makes its target", [[Symlink("s", "x/y"), File("s/a")]],
            [Root, "s l777 0:0 @100 -> x/y", "x d755 0:0 @0", "x/y d755 0:0 @0", "x/y/a f644 0:0 @100"]) { UnstableMtimes = ["x", "x/y"] },
        new("parent through a symlink out of the root stays inside", [[Symlink("s", "../../x"), File("s/a")]],
            [Root, "s l777 0:0 @100 -> ../../x", "x d755 0:0 @0", "x/a f644 0:0 @100"]) { UnstableMtimes = ["x"] },
        new("directory entry replaces a symlink", [[Dir("u"), Symlink("s", "u"), Dir("s"), File("s/a")]],
            [Root, "s d755 0:0 @100", "s/a f644 0:0 @100", "u d755 0:0 @100"]),
        new("replaced directory: times go to the path", [[Dir("d", mtime: 7), File("d/x"), File("d"), File(".wh.d"), File("d/y")]],
            [Root, "d d755 0:0 @7", "d/y f644 0:0 @100"]),
        new("hard links share an inode", [[File("a", "x"), HardLink("b", "a"), Dir("d"), HardLink("d/c", "b")]],
            [Root, "a f644 0:0 @100 1 #1", "b f644 0:0 @100 1 #1", "d d755 0:0 @100", "d/c f644 0:0 @100 1 #1"]),
        new("hard link sets the attributes of all names", [[File("a", "x"), HardLink("b", "a", mode: "4711", uid: 1, gid: 2, mtime: 5), HardLink("c", "a", mode: "755", mtime: 6)]],
            [Root, "a f755 0:0 @6 1 #1", "b f755 0:0 @6 1 #1", "c f755 0:0 @6 1 #1"]),
        new("hard link adds xattrs", [[File("a", "x", xattrs: Attribute("user.a", "1")), HardLink("b", "a", xattrs: Attribute("user.b", "2"))]],
            [Root, "a f644 0:0 @100 1 user.a=1 user.b=2 #1", "b f644 0:0 @100 1 user.a=1 user.b=2 #1"]),
        new("hard link to a symlink", [[File("t"), Symlink("s", "t", mtime: 5), HardLink("h", "s", mode: "600", mtime: 6)]],
            [Root, "h l777 0:0 @6 -> t #1", "s l777 0:0 @6 -> t #1", "t f644 0:0 @100"]),
        new("hard link target through a symlinked directory", [[Dir("u"), File("u/a", "x"), Symlink("s", "u"), HardLink("b", "s/a")]],
            [Root, "b f644 0:0 @100 1 #1", "s l777 0:0 @100 -> u", "u d755 0:0 @100", "u/a f644 0:0 @100 1 #1"]),
        new("replacing one name leaves the others", [[File("a", "x"), HardLink("b", "a"), HardLink("c", "a")], [File("b", "yy")]],
            [Root, "a f644 0:0 @100 1 #1", "b f644 0:0 @100 2", "c f644 0:0 @100 1 #1"]),
        new("hard link to a lower layer's file", [[File("d/a", "x"), File("e")], [HardLink("b", "d/a", mode: "600", mtime: 5)]],
            [Root, "b f600 0:0 @5 1 #1", "d d755 0:0 @0", "d/a f600 0:0 @5 1 #1", "e f644 0:0 @100"]) { IsRefusedByContainerd = true },
        new("hard link to a lower layer's file, nothing changed", [[File("a", "x")], [HardLink("b", "a")]],
            [Root, "a f644 0:0 @100 1 #1", "b f644 0:0 @100 1 #1"]) { IsRefusedByContainerd = true },
        new("device 0/0 is a whiteout", [[File("a"), Device("z", FileKind.CharacterDevice, 0, 0)], [Device("a", FileKind.CharacterDevice, 0, 0), Device("n", FileKind.BlockDevice, 0, 0)]],
            [Root, "n b600 0:0 @100 0,0"]),
        new("devices and fifos", [[Device("c", FileKind.CharacterDevice, 5, 1, "666"), Device("b", FileKind.BlockDevice, 259, 300), Device("p", FileKind.Fifo, 3, 4, "640")]],
            [Root, "b b600 0:0 @100 259,300", "c c666 0:0 @100 5,1", "p p640 0:0 @100"]),
        new("root entry gives its mtime only", [[Dir(".", mode: "700", uid: 9, gid: 9, mtime: 55), File("a")], [File("b")]],
            [". d755 0:0 @55", "a f644 0:0 @100", "b f644 0:0 @100"]),
        new("xattrs: trusted and unstorable ones are left out",
            [[File("f", xattrs: [Attribute("security.x", "s"), Attribute("trusted.overlay.opaque", "y"), Attribute("trusted.t", "1"), Attribute("unknown.u", "1"), Attribute("user.u", "v")]),
                Symlink("l", "f", xattrs: [Attribute("security.x", "s"), Attribute("user.u", "v")]),
                Dir("d", xattrs: [Attribute("trusted.overlay.opaque", "y"), Attribute("user.u", "v")])]],
            [Root, "d d755 0:0 @100 user.u=v", "f f644 0:0 @100 security.x=s user.u=v", "l l777 0:0 @100 -> f security.x=s"]),
        new("times outside containerd's range become the epoch", [[File("n", mtime: -1), File("h", mtime: 9_223_372_037), File("o", mtime: 1, nanoseconds: 999_999_999)]],
            [Root, "h f644 0:0 @0", "n f644 0:0 @0", "o f644 0:0 @1.999999999"]),
        new("large owners and set-id bits", [[File("s", mode: "7777", uid: 4_000_000_000, gid: 70_000)]], [Root, "s f7777 4000000000:70000 @100"]),
    ];

    public static MergeCase Get(string name) => All.Single(mergeCase => mergeCase.Name == name);

    /// <summary>
    /// <c>path kind+mode uid:gid @mtime</c>, then a regular file's size (unless empty), a link's target or a device's numbers, xattrs, and
    /// <c>#n</c> for names that share the tree's n-th group of hard links.
    /// </summary>
    public static string[] Describe(FileTree tree)
    {
        Dictionary<Inode, int> names = new(ReferenceEqualityComparer.Instance);
        foreach ((_, Inode inode) in tree.Walk())
        {
            names[inode] = names.GetValueOrDefault(inode) + 1;
        }

        Dictionary<Inode, int> groups = new(ReferenceEqualityComparer.Instance);
        List<string> lines = [];
        foreach ((PosixPath path, Inode inode) in tree.Walk())
        {
            int group = names[inode] == 1 ? 0 : groups.TryGetValue(inode, out int known) ? known : groups[inode] = groups.Count + 1;
            lines.Add(Describe(path.IsEmpty ? "." : path.Display, inode, group));
        }

        return [.. lines];
    }

    private static string Describe(string path, Inode inode, int group)
    {
        string nanoseconds = inode.MtimeNanoseconds == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $".{inode.MtimeNanoseconds:D9}");
        string detail = inode.Kind switch
        {
            FileKind.Regular when inode.Size > 0 => string.Create(CultureInfo.InvariantCulture, $" {inode.Size}"),
            FileKind.Symlink => $" -> {inode.LinkTarget}",
            FileKind.CharacterDevice or FileKind.BlockDevice => string.Create(CultureInfo.InvariantCulture, $" {inode.DeviceMajor},{inode.DeviceMinor}"),
            _ => "",
        };
        string xattrs = string.Concat(inode.Xattrs.Select(static xattr => $" {xattr.Name}={System.Text.Encoding.UTF8.GetString(xattr.Value.Span)}"));
        string mode = Convert.ToString(inode.Mode, 8);
        string links = group == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" #{group}");
        return string.Create(CultureInfo.InvariantCulture, $"{path} {Letter(inode.Kind)}{mode} {inode.Uid}:{inode.Gid} @{inode.MtimeSeconds}{nanoseconds}{detail}{xattrs}{links}");
    }

    private static char Letter(FileKind kind) => kind switch
    {
        FileKind.Regular => 'f',
        FileKind.Directory => 'd',
        FileKind.Symlink => 'l',
        FileKind.CharacterDevice => 'c',
        FileKind.BlockDevice => 'b',
        _ => 'p',
    };
}
