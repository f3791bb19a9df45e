using System.Globalization;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.Unpacking;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.Unpacking;

/// <summary>A tree unpacked into a directory is the tree, in every attribute.</summary>
public sealed class TreeUnpackerTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly ObjectStore _objects;
    private readonly TreeUnpacker _unpacker;

    public TreeUnpackerTests()
    {
        Requirements.Root();
        _objects = new ObjectStore(_scratch["objects"]);
        _unpacker = new TreeUnpacker(_objects);
    }

    public static TheoryData<string> CaseNames => [.. MergeCases.All.Select(static mergeCase => mergeCase.Name)];

    private string Target => _scratch["tree"];

    public void Dispose()
    {
        _objects.Dispose();
        _scratch.Dispose();
    }

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Unpack_OfMergedLayers_GivesTheMergedTree(string name)
    {
        FileTree tree = Store(TreeMerger.Merge(MergeCases.Get(name).Layers).Value);

        _unpacker.Unpack(tree, Target, CancellationToken.None);

        TreeText.Full(RealTree.Read(Target).Tree).ShouldBe(TreeText.Full(tree));
    }

    [Fact]
    public void Unpack_OfEverything_GivesTheTreeAndItsLinkCounts()
    {
        FileTree tree = Store(TreeMerger.Merge([Everything]).Value);

        _unpacker.Unpack(tree, Target, CancellationToken.None);

        RealTree real = RealTree.Read(Target);
        TreeText.Full(real.Tree).ShouldBe(TreeText.Full(tree));
        real.Tree.TryFind(PosixPath.FromText("a/one"), out Inode? linked).ShouldBeTrue();
        real.Links[linked!].ShouldBe(3u);
        Directory.Exists(TreeUnpacker.UnfinishedPath(Target)).ShouldBeFalse();
    }

    [Fact]
    public void Unpack_OfDirectoriesBeyondTheLongestPath_Works()
    {
        Inode inner = Deep(400);
        FileTree tree = new(inner);

        _unpacker.Unpack(tree, Target, CancellationToken.None);

        string deepest = Tool.Run("find", [Target, "-type", "d", "-printf", "%d\n"]).Split('\n').Where(l => l.Length > 0).Max(l => int.Parse(l, CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture);
        deepest.ShouldBe("400");
        Starlight.Infrastructure.Snapshots.DirectoryTree.Delete(Target);
    }

    [Fact]
    public void Unpack_WhenAContentIsMissing_SaysWhichAndLeavesNothing()
    {
        FileTree tree = Store(TreeMerger.Merge([Everything]).Value);
        tree.TryFind(PosixPath.FromText("big"), out Inode? big).ShouldBeTrue();
        _objects.Delete(big!.Content).ShouldBeTrue();

        Error error = Should.Throw<FailureException>(() => _unpacker.Unpack(tree, Target, CancellationToken.None)).Error;

        error.Code.ShouldBe("Tree.ContentMissing");
        error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        error.Message.ShouldContain(big.Content.ToString());
        Left().ShouldBe(["objects"]);
    }

    [Fact]
    public void Unpack_WhenAContentHasAnotherSize_IsRefused()
    {
        FileTree tree = Store(TreeMerger.Merge([[File("short", "12345")]]).Value);
        tree.TryFind(PosixPath.FromText("short"), out Inode? file).ShouldBeTrue();
        System.IO.File.SetUnixFileMode(_objects.PathOf(file!.Content), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        System.IO.File.AppendAllText(_objects.PathOf(file.Content), "6");

        Should.Throw<FailureException>(() => _unpacker.Unpack(tree, Target, CancellationToken.None)).Error.Code.ShouldBe("Tree.ContentMissing");
    }

    [Fact]
    public void Unpack_WhenCancelled_LeavesNothing()
    {
        FileTree tree = Store(TreeMerger.Merge([Everything]).Value);

        Should.Throw<OperationCanceledException>(() => _unpacker.Unpack(tree, Target, new CancellationToken(canceled: true)));

        Left().ShouldBe(["objects"]);
    }

    [Fact]
    public void Unpack_AfterACrashInTheMiddle_StartsAgain()
    {
        FileTree tree = Store(TreeMerger.Merge([Everything]).Value);
        Directory.CreateDirectory(Path.Combine(TreeUnpacker.UnfinishedPath(Target), "root", "bin"));
        System.IO.File.WriteAllText(Path.Combine(TreeUnpacker.UnfinishedPath(Target), "root", "bin", "half"), "ha");

        _unpacker.Unpack(tree, Target, CancellationToken.None);

        TreeText.Full(RealTree.Read(Target).Tree).ShouldBe(TreeText.Full(tree));
    }

    [Fact]
    public void Unpack_OnAFileSystemWithReflinks_SharesBlocks()
    {
        Requirements.Program("mkfs.xfs");
        Requirements.FileSystem("xfs");
        Tool.Run("truncate", ["-s", "400M", _scratch["xfs.img"]]);
        Tool.Run("mkfs.xfs", ["-q", "-m", "reflink=1", _scratch["xfs.img"]]);
        using Mounted xfs = Mounted.On(_scratch["xfs"], (Type: "xfs", Source: _scratch["xfs.img"], Options: ["loop"]));
        using ObjectStore objects = new(Path.Combine(xfs.Target, "objects"));
        byte[] content = new byte[50_000_000];
        new Random(1).NextBytes(content);
        Digest digest = Digest.Of(content);
        objects.Put(digest, content);
        objects.Sync();
        long before = new DriveInfo(xfs.Target).AvailableFreeSpace;
        FileTree tree = new(DirectoryOf(new Inode { Kind = FileKind.Regular, Mode = 0x1A4, Size = content.Length, Content = digest }));

        new TreeUnpacker(objects).Unpack(tree, Path.Combine(xfs.Target, "tree"), CancellationToken.None);

        System.IO.File.ReadAllBytes(Path.Combine(xfs.Target, "tree", "file")).ShouldBe(content);
        (before - new DriveInfo(xfs.Target).AvailableFreeSpace).ShouldBeLessThan(content.Length / 2);
    }

    [Fact]
    public void Unpack_OnAnotherFileSystemThanTheObjects_CopiesThroughABuffer()
    {
        using Mounted memory = Mounted.On(_scratch["memory"], (Type: "tmpfs", Source: "none", Options: ["size=20m"]));
        FileTree tree = Store(TreeMerger.Merge([[Dir("d"), File("d/large", new string('x', 1_000_001)), File("small", "s"), File("empty")]]).Value);

        new TreeUnpacker(_objects).Unpack(tree, Path.Combine(memory.Target, "tree"), CancellationToken.None);

        TreeText.Full(RealTree.Read(Path.Combine(memory.Target, "tree")).Tree).ShouldBe(TreeText.Full(tree));
    }

    [Fact]
    public void Unpack_WhenTheDiskIsFull_SaysSoAndLeavesNothing()
    {
        using Mounted memory = Mounted.On(_scratch["memory"], (Type: "tmpfs", Source: "none", Options: ["size=1m"]));
        FileTree tree = Store(TreeMerger.Merge([[File("large", new string('x', 3_000_000))]]).Value);

        Error error = Should.Throw<FailureException>(() => new TreeUnpacker(_objects).Unpack(tree, Path.Combine(memory.Target, "tree"), CancellationToken.None)).Error;

        error.Code.ShouldBe("Tree.NoSpace");
        error.Kind.ShouldBe(ErrorKind.ResourceExhausted);
        Directory.EnumerateFileSystemEntries(memory.Target).ShouldBeEmpty();
    }

    private static LayerEntry[] Everything =>
    [
        Dir("bin"), File("bin/passwd", "setuid program", mode: "4755"), HardLink("bin/passwd.link", "bin/passwd", mode: "4755"),
        File("bin/server", "has capabilities", mode: "755", xattrs: new Xattr(PosixPath.FromText("security.capability"), Convert.FromHexString("0100000200040000000000000000000000000000"))),
        Dir("tmp", mode: "1777"), Dir("mail", mode: "2775", gid: 8), File("mail/box", "inherits nothing"), Dir("mail/dir", mode: "700"), Dir("closed", mode: "0"),
        File("empty"), File("big", new string('b', 300_000)), File("sgid", "s", mode: "2711", gid: 42), File("none", "n", mode: "0"),
        File("times", "t", mtime: 1_234_567_890, nanoseconds: 123_456_789), File("owner", "o", uid: 100_000, gid: 4_000_000_000),
        Symlink("link", "bin/passwd", uid: 7, mtime: 8), Symlink("long", new string('l', 4000)), Symlink("dangling", "/no/where"), HardLink("link2", "link"),
        Device("null", FileKind.CharacterDevice, 1, 3, "666"), Device("disk", FileKind.BlockDevice, 259, 1000), Device("pipe", FileKind.Fifo, 0, 0), HardLink("null2", "null"),
        Dir("x", xattrs: [Attribute("security.s", "1"), Attribute("user.d", "dir")]), File("x/f", "f", xattrs: [Attribute("user.a", "1"), Attribute("user.b", new string('v', 2000))]),
        Dir("a"), File("a/one", "linked"), Dir("b"), HardLink("b/two", "a/one"), HardLink("three", "a/one"),
        Dir("many"), .. Enumerable.Range(0, 300).Select(i => File($"many/file{i}", $"content {i % 13}", mtime: i)),
    ];

    private FileTree Store(FileTree tree)
    {
        foreach ((_, Inode inode) in tree.Walk())
        {
            if (inode.Size > 0)
            {
                _objects.Put(inode.Content, ContentOf(inode.Content));
            }
        }

        return tree;
    }

    private static Inode DirectoryOf(Inode? file = null, params KeyValuePair<PosixPath, Inode>[] more) => new()
    {
        Kind = FileKind.Directory,
        Mode = 0x1ED,
        MtimeSeconds = 1,
        Children = DirectoryEntries.Create(file is null ? more : [new(PosixPath.FromText("file"), file), .. more]),
    };

    private static Inode Deep(int levels) =>
        levels == 0 ? DirectoryOf() : DirectoryOf(null, new KeyValuePair<PosixPath, Inode>(PosixPath.FromText(new string('d', 100)), Deep(levels - 1)));

    private string[] Left() => [.. Directory.EnumerateFileSystemEntries(_scratch.Path).Select(e => Path.GetFileName(e)!)];
}
