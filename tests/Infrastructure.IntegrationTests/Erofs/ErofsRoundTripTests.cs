using System.Buffers;
using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Native;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.Erofs;

public sealed class ErofsRoundTripTests
{
    [Fact]
    public void ReadTree_WhenTreesAreRandom_GivesTheTreeThatWasWritten() => Prop.ForAll(
        ArbMap.Default.ArbFor<int>(),
        seed =>
        {
            FileTree tree = RandomTrees.Create(seed);
            byte[] image = ErofsWriter.Build(tree);
            FilesystemImage opened = ErofsReader.Open(image);
            FileTree read = opened.ReadTree();
            TreeText.Full(read).ShouldBe(TreeText.Full(tree));
            ErofsWriter.Build(read).ShouldBe(image);
            opened.Contents.ShouldBe(ContentsOf(tree));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    [Fact]
    public void Build_WhenChildrenAreMadeInAnotherOrder_GivesTheSameBytes()
    {
        LayerEntry[] layer = [File("b", "1"), File("a/x", "2"), Dir("c", xattrs: Attribute("user.k", "v")), File("a/w", "1", xattrs: Attribute("user.k", "v"))];

        byte[] forward = ErofsWriter.Build(TreeMerger.Merge([layer]).Value);
        byte[] backward = ErofsWriter.Build(TreeMerger.Merge([[.. layer.Reverse()]]).Value);

        backward.ShouldBe(forward);
    }

    [Fact]
    public void Build_WhenOneAttributeDiffers_GivesAnotherDigest()
    {
        LayerEntry[] variants =
        [
            File("f", "x"), File("f", "y"), File("f", "xx"), File("g", "x"), File("f", "x", mode: "4644"), File("f", "x", uid: 1), File("f", "x", gid: 1),
            File("f", "x", mtime: 1), File("f", "x", nanoseconds: 1), File("f", "x", xattrs: Attribute("user.a", "")), File("f", "x", xattrs: Attribute("user.a", "1")),
            Symlink("f", "x"), Symlink("f", "y"), Dir("f"), Device("f", FileKind.Fifo, 0, 0), Device("f", FileKind.CharacterDevice, 1, 1), Device("f", FileKind.BlockDevice, 1, 1),
        ];

        IEnumerable<Digest> digests = variants.Select(static entry => Digest.Of(ErofsWriter.Build(TreeMerger.Merge([[entry]]).Value)));

        digests.Distinct().Count().ShouldBe(variants.Length);
    }

    [Fact]
    public void Contents_WhenFilesShareContents_ListsEachOnceInWalkOrder()
    {
        FileTree tree = TreeMerger.Merge([[File("z", "1"), File("a.b", "2"), Dir("a"), File("a/y", "3"), File("a/x", "1"), File("empty"), HardLink("0", "z")]]).Value;

        IReadOnlyList<ContentRef> contents = ErofsReader.Open(ErofsWriter.Build(tree)).Contents;

        contents.ShouldBe([Ref("1"), Ref("3"), Ref("2")]);
        static ContentRef Ref(string text) => new(Digest.Of(BytesOf(text)), text.Length);
    }

    [Fact]
    public void Digest_WhenAsked_IsTheSha256OfTheBytes()
    {
        byte[] image = ErofsWriter.Build(RandomTrees.Create(1));

        ErofsReader.Open(image).Digest.ShouldBe(Digest.Of(image));
    }

    [Fact]
    public void Build_WhenAFileHasManyNames_KeepsLinkCountsBeyondSixteenBits()
    {
        LayerEntry[] layer = [File("a0", "x"), .. Enumerable.Range(1, 70_000).Select(i => HardLink($"a{i}", "a0"))];
        FileTree tree = TreeMerger.Merge([layer]).Value;

        FileTree read = ErofsReader.Open(ErofsWriter.Build(tree)).ReadTree();

        read.Root.Children!.Inodes.ToArray().Distinct(ReferenceEqualityComparer.Instance).Count().ShouldBe(1);
        read.Root.Children!.Count.ShouldBe(70_001);
    }

    [Fact]
    public void Build_WhenTheTreeIsAsDeepAsAPathCanBe_RoundTrips()
    {
        FileTree tree = TreeMerger.Merge([[Dir(string.Join('/', Enumerable.Repeat("d", 2047)))]]).Value;

        TreeText.Full(ErofsReader.Open(ErofsWriter.Build(tree)).ReadTree()).ShouldBe(TreeText.Full(tree));
    }

    [Theory]
    [InlineData("name")]
    [InlineData("target")]
    [InlineData("empty target")]
    [InlineData("size")]
    [InlineData("xattr namespace")]
    [InlineData("overlay xattr")]
    [InlineData("xattr value")]
    [InlineData("xattr count")]
    public void Build_WhenTheTreeDoesNotFit_SaysWhat(string what)
    {
        Inode file = new() { Kind = FileKind.Regular, Mode = 0 };
        Inode child = what switch
        {
            "target" => new() { Kind = FileKind.Symlink, Mode = 0x1FF, LinkTarget = PosixPath.FromRaw(new string('x', 4096)) },
            "empty target" => new() { Kind = FileKind.Symlink, Mode = 0x1FF },
            "size" => new() { Kind = FileKind.Regular, Mode = 0, Size = (1L << 43) + 1, Content = Digest.Of([1]) },
            "xattr namespace" => new() { Kind = FileKind.Regular, Mode = 0, Xattrs = [Attribute("other.x", "")] },
            "overlay xattr" => new() { Kind = FileKind.Regular, Mode = 0, Xattrs = [Attribute("trusted.overlay.opaque", "y")] },
            "xattr value" => new() { Kind = FileKind.Regular, Mode = 0, Xattrs = [Attribute("user.x", new string('x', 65536))] },
            "xattr count" => new() { Kind = FileKind.Regular, Mode = 0, Xattrs = [.. Enumerable.Range(10_000, 5_000).Select(i => Attribute($"user.{i}", new string('x', 60)))] },
            _ => file,
        };
        string name = what == "name" ? new string('n', 256) : "n";
        FileTree tree = new(new Inode { Kind = FileKind.Directory, Mode = 0x1ED, Children = DirectoryEntries.Create([KeyValuePair.Create(PosixPath.FromRaw(name), child)]) });

        Error error = Should.Throw<FailureException>(() => ErofsWriter.Build(tree)).Error;

        error.Code.ShouldBe("FilesystemImage.TreeUnsupported");
        error.Kind.ShouldBe(ErrorKind.ResourceExhausted);
    }

    [Fact]
    public void Rent_WhenTheImageIsLarge_GivesTheSameBytesInAFileWithoutName()
    {
        using ScratchDirectory scratch = new();
        IEnumerable<LayerEntry> files = Enumerable.Range(0, 100_000).Select(i => File($"d{i / 1000}/{i}", i % 7 == 0 ? "same" : $"{i}"));
        FileTree tree = TreeMerger.Merge([[.. files]]).Value;
        byte[] expected = ErofsWriter.Build(tree);
        using IMemoryOwner<byte> image = ErofsWriter.Rent(tree, scratch.Path);

        expected.Length.ShouldBeGreaterThan(SpooledMemory.Threshold);
        image.Memory.Span.SequenceEqual(expected).ShouldBeTrue();
        Directory.EnumerateFileSystemEntries(scratch.Path).ShouldBeEmpty();
        ErofsReader.Open(image.Memory).Contents.ShouldBe(ErofsReader.Open(expected).Contents);
    }

    private static List<ContentRef> ContentsOf(FileTree tree) =>
        [.. tree.Walk().Where(entry => entry.Inode.Size > 0).Select(entry => (entry.Inode.Content, entry.Inode.Size)).Distinct().Select(pair => new ContentRef(pair.Content, pair.Size))];
}
