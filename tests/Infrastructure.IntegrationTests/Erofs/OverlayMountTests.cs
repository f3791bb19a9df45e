using System.Globalization;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.Erofs;

/// <summary>A filesystem image and an object store through overlayfs, as a container gets them (design page, section 2).</summary>
public sealed class OverlayMountTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    public static TheoryData<string> CaseNames => [.. MergeCases.All.Select(static mergeCase => mergeCase.Name)];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Mount_WhenLayersAreMerged_ShowsTheMergedTreeWithContents(string name)
    {
        FileTree tree = TreeMerger.Merge(MergeCases.Get(name).Layers).Value;
        using Mounted mounted = Mount(tree, writable: false);

        TreeText.Full(RealTree.Read(mounted.Path).Tree).ShouldBe(TreeText.Full(tree));
    }

    [Fact]
    public void Mount_WhenImageHasEverything_EqualsWhatContainerdShows()
    {
        Requirements.Program("containerd");
        FileTree tree = TreeMerger.Merge([Everything]).Value;
        using Mounted mounted = Mount(tree, writable: true);
        RealTree ours = RealTree.Read(mounted.Path);
        using ContainerdOracle containerd = new();

        RealTree theirs = containerd.Unpack([Everything]);

        BelowRoot(ours.Tree).ShouldBe(BelowRoot(theirs.Tree));
        LinkCounts(ours).ShouldBe(LinkCounts(theirs));
    }

    [Fact]
    public void Chmod_WhenImageIsMountedWritable_CopiesUpTheWholeFile()
    {
        FileTree tree = TreeMerger.Merge([Everything]).Value;
        using Mounted mounted = Mount(tree, writable: true);

        Tool.Run("chmod", ["400", Path.Combine(mounted.Path, "bin/passwd")]);

        System.IO.File.ReadAllText(_scratch.Combine("upper/bin/passwd")).ShouldBe("setuid program");
        System.IO.File.ReadAllText(Path.Combine(mounted.Path, "bin/passwd.link")).ShouldBe("setuid program");
    }

    [Fact]
    public void Chmod_WhenFileIsCopiedUp_KeepsItsInodeNumberOverARemount()
    {
        FileTree tree = TreeMerger.Merge([Everything]).Value;
        string before;
        using (Mounted mounted = Mount(tree, writable: true))
        {
            before = InodeNumber(mounted);
            Tool.Run("chmod", ["400", Path.Combine(mounted.Path, "bin/server")]);
            InodeNumber(mounted).ShouldBe(before);
        }

        using Mounted again = Mount(tree, writable: true);
        InodeNumber(again).ShouldBe(before);

        static string InodeNumber(Mounted mounted) => Tool.Run("stat", ["-c", "%i", Path.Combine(mounted.Path, "bin/server")]);
    }

    private static LayerEntry[] Everything =>
    [
        Dir("bin"), File("bin/passwd", "setuid program", mode: "4755"), HardLink("bin/passwd.link", "bin/passwd", mode: "4755"),
        File("bin/server", "has capabilities", mode: "755", xattrs: new Xattr(PosixPath.FromText("security.capability"), Convert.FromHexString("0100000200040000000000000000000000000000"))),
        Dir("tmp", mode: "1777"), Dir("mail", mode: "2775", gid: 8), File("empty"), File("big", new string('b', 300_000)), File("sgid", "s", mode: "2711", gid: 42),
        File("times", "t", mtime: 1_234_567_890, nanoseconds: 123_456_789), File("owner", "o", uid: 100_000, gid: 4_000_000_000),
        Symlink("link", "bin/passwd", uid: 7, mtime: 8), Symlink("long", new string('l', 4000)), Symlink("dangling", "/no/where"),
        Device("null", FileKind.CharacterDevice, 1, 3, "666"), Device("disk", FileKind.BlockDevice, 259, 1000), Device("pipe", FileKind.Fifo, 0, 0),
        Dir("x", xattrs: [Attribute("security.s", "1"), Attribute("user.d", "dir")]), File("x/f", "f", xattrs: [Attribute("user.a", "1"), Attribute("user.b", new string('v', 2000))]),
        Dir("many"), .. Enumerable.Range(0, 700).Select(i => File($"many/file{i}", $"content {i % 13}", mtime: i)),
    ];

    private Mounted Mount(FileTree tree, bool writable)
    {
        Requirements.Root();
        Requirements.FileSystem("erofs");
        Requirements.FileSystem("overlay");
        string objects = _scratch.Create("objects");
        foreach ((_, Inode inode) in tree.Walk())
        {
            if (inode.Size > 0)
            {
                string path = Path.Combine(objects, inode.Content.ObjectPath);
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                System.IO.File.WriteAllBytes(path, ContentOf(inode.Content));
            }
        }

        string image = _scratch.Combine("image");
        System.IO.File.WriteAllBytes(image, ErofsWriter.Build(tree));
        MountPoint erofs = MountPoint.Erofs(image, _scratch.Create("erofs"));
        try
        {
            string layers = $"lowerdir={erofs.Path}::{objects}";
            string upper = writable ? $",upperdir={_scratch.Create("upper")},workdir={_scratch.Create("work")}" : "";
            return new Mounted(erofs, MountPoint.Overlay(layers + upper, _scratch.Create("root")));
        }
        catch
        {
            erofs.Dispose();
            throw;
        }
    }

    private static string BelowRoot(FileTree tree) => TreeText.Full(tree).Split('\n', 2)[1];

    private static string[] LinkCounts(RealTree real) =>
        [.. real.Tree.Walk().Where(entry => entry.Inode.Children is null).Select(entry => string.Create(CultureInfo.InvariantCulture, $"{entry.Path} {real.Links[entry.Inode]}"))];

    private sealed record Mounted(MountPoint Erofs, MountPoint Overlay) : IDisposable
    {
        public string Path => Overlay.Path;

        public void Dispose()
        {
            Overlay.Dispose();
            Erofs.Dispose();
        }
    }
}
