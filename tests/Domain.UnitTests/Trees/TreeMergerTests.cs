using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Domain.UnitTests.Trees;

/// <summary>
/// One row for each rule of unpacking and stacking. The expectations were checked against containerd 1.6.20 itself: the integration
/// tests run the same rows through it (<c>ContainerdOracleTests</c>).
/// </summary>
public sealed class TreeMergerTests
{
    public static TheoryData<string> CaseNames => [.. MergeCases.All.Select(static mergeCase => mergeCase.Name)];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Merge_WhenLayersStack_GivesTheTreeOfContainerd(string name)
    {
        MergeCase mergeCase = MergeCases.Get(name);

        Result<FileTree> merged = TreeMerger.Merge(mergeCase.Layers);

        merged.IsSuccess.ShouldBeTrue(merged.Error?.Message);
        MergeCases.Describe(merged.Value).ShouldBe(mergeCase.Expected);
    }

    [Fact]
    public void Merge_WhenThereIsNoLayer_GivesAnEmptyRoot()
    {
        FileTree tree = TreeMerger.Merge([]).Value;

        MergeCases.Describe(tree).ShouldBe([". d755 0:0 @0"]);
        tree.Root.Children.ShouldBeSameAs(DirectoryEntries.Empty);
    }

    [Theory]
    [InlineData("Layer.HardLinkTargetMissing")]
    [InlineData("Layer.HardLinkToDirectory")]
    [InlineData("Layer.ParentNotDirectory")]
    [InlineData("Layer.WhiteoutInvalid")]
    [InlineData("Layer.TooManySymlinks")]
    [InlineData("Layer.PathTooLong")]
    public void Merge_WhenALayerIsBroken_NamesTheProblemAndThePath(string code)
    {
        string deep = string.Join('/', Enumerable.Repeat("d", 2000));
        LayerEntry[] layer = code switch
        {
            "Layer.HardLinkTargetMissing" => [File("x/gone.txt"), Symlink("x/gone.txt", "elsewhere"), HardLink("bad", "x/nothing")],
            "Layer.HardLinkToDirectory" => [Dir("x"), HardLink("bad", "x")],
            "Layer.ParentNotDirectory" => [File("x"), File("x/bad")],
            "Layer.WhiteoutInvalid" => [File("x/.wh...")],
            "Layer.TooManySymlinks" => [Symlink("loop", "loop"), File("loop/bad")],
            _ => [Dir(deep), Symlink("s", deep), Dir("s/" + deep), Symlink("s2", "s/" + deep), File("s2/bad")],
        };

        Error error = TreeMerger.Merge([[Dir("a")], layer]).Error.ShouldNotBeNull();

        error.Code.ShouldBe(code);
        error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        error.Message.ShouldContain(code switch { "Layer.WhiteoutInvalid" => "x/.wh...", "Layer.PathTooLong" => "4095", _ => "bad" });
    }

    /// <summary>Each of these paths of 4 KB would make 2,000 directories.</summary>
    [Fact]
    public void Apply_WhenShortPathsImplyMillionsOfDirectories_GivesUp()
    {
        string deep = string.Concat(Enumerable.Repeat("/d", 2000));
        IEnumerable<LayerEntry> entries = Enumerable.Range(0, 100_000).Select(i => File($"{i}{deep}/bad"));

        Error error = new TreeMerger().Apply(entries).Error!;

        error.Code.ShouldBe("Layer.TooManyDirectories");
        error.Message.ShouldContain("bad");
    }

    [Fact]
    public void Apply_WhenALayerFails_LeavesTheMergerAsItWas()
    {
        TreeMerger merger = new();
        merger.Apply([File("a")]).IsSuccess.ShouldBeTrue();

        merger.Apply([File("b"), HardLink("c", "missing")]).IsSuccess.ShouldBeFalse();

        MergeCases.Describe(merger.Build()).ShouldBe([". d755 0:0 @0", "a f644 0:0 @100"]);
    }

    [Fact]
    public void Build_WhenCalledAfterEachLayer_GivesTheTreeOfEachPrefix()
    {
        TreeMerger merger = new();
        merger.Apply([File("a"), File("b")]);
        FileTree first = merger.Build();
        merger.Apply([File(".wh.a"), HardLink("c", "b", mode: "600")]);
        FileTree second = merger.Build();

        MergeCases.Describe(first).ShouldBe([". d755 0:0 @0", "a f644 0:0 @100", "b f644 0:0 @100"]);
        MergeCases.Describe(second).ShouldBe([". d755 0:0 @0", "b f600 0:0 @100 #1", "c f600 0:0 @100 #1"]);
    }

    [Fact]
    public void TryFind_WhenAPathExists_GivesItsInode()
    {
        FileTree tree = TreeMerger.Merge([[File("usr/bin/sh", "#!"), Symlink("bin", "usr/bin")]]).Value;

        tree.TryFind(PosixPath.FromText("usr/bin/sh"), out Inode? shell).ShouldBeTrue();
        shell!.Size.ShouldBe(2);
        tree.TryFind(PosixPath.Root, out Inode? root).ShouldBeTrue();
        root.ShouldBeSameAs(tree.Root);
        tree.TryFind(PosixPath.FromText("bin/sh"), out _).ShouldBeFalse();
        tree.TryFind(PosixPath.FromText("usr/nothing"), out _).ShouldBeFalse();
    }
}
