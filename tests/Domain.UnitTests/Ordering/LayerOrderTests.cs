using Starlight.Domain.Ordering;
using Starlight.Domain.Trees;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Domain.UnitTests.Ordering;

public sealed class LayerOrderTests
{
    [Fact]
    public void Of_WhenFilesAreHot_PutsThemFirstInTheirOrderWithTheirDirectories() =>
        Order(
            [Dir("a"), File("a/1", "1"), Dir("b"), File("b/2", "2"), Dir("b/c"), File("b/c/3", "3"), File("b/4", "4")],
            "b/c/3", "a/1", "b/2").ShouldBe(["b", "b/c", "b/c/3", "a", "a/1", "b/2", "|", "b/4"]);

    [Fact]
    public void Of_WhenRootHasAnEntry_KeepsItFirst() =>
        Order([Dir("./"), File("a"), File("b", "b")], "b").ShouldBe(["", "b", "|", "a"]);

    [Fact]
    public void Of_WhenHotFileIsAHardLink_BringsTheFileItNames() =>
        Order([Dir("d"), File("x"), File("d/file", "1"), HardLink("link", "d/file"), HardLink("again", "link")], "again").ShouldBe(["d", "d/file", "link", "again", "|", "x"]);

    [Fact]
    public void Of_WhenHotFileHasLinks_LeavesThemBehind() =>
        Order([File("x"), File("file", "1"), HardLink("link", "file")], "file").ShouldBe(["file", "|", "x", "link"]);

    [Fact]
    public void Of_WhenPathHasSeveralEntries_MovesTheLastAndKeepsThemInOrder() =>
        Order([File("x"), File("f", "old"), File("y"), File("f", "new"), File("z")], "f").ShouldBe(["f", "f", "|", "x", "y", "z"]);

    [Fact]
    public void Of_WhenDirectoryIsListedAgain_DoesNotBringWhatIsBetween() =>
        Order([Dir("d"), File("d/x"), Dir("d"), File("d/hot", "h")], "d/hot").ShouldBe(["d", "d/hot", "|", "d/x", "d"]);

    [Fact]
    public void Of_WhenDirectoryComesAfterItsFiles_DoesNotBringThem() =>
        Order([File("d/x"), Dir("d"), File("d/hot", "h")], "d/hot").ShouldBe(["d/hot", "|", "d/x", "d"]);

    [Fact]
    public void Of_WhenDirectoryIsOpaque_KeepsTheMarkerBeforeItsFiles() =>
        Order([File("x"), Dir("d"), File("d/.wh..wh..opq"), File("d/hot", "h")], "d/hot").ShouldBe(["d", "d/.wh..wh..opq", "d/hot", "|", "x"]);

    [Fact]
    public void Of_WhenFileWasWhitedOutBefore_KeepsTheWhiteoutBeforeIt() =>
        Order([File("x"), File(".wh.d"), File("d/hot", "h"), File("y")], "d/hot").ShouldBe([".wh.d", "d/hot", "|", "x", "y"]);

    [Fact]
    public void Of_WhenFileStandsWhereADirectoryWas_BringsWhatWasInIt() =>
        Order([File("x"), Dir("d"), File("d/y"), File("d", "file")], "d").ShouldBe(["d", "d/y", "d", "|", "x"]);

    [Theory]
    [InlineData("elsewhere")]
    [InlineData("link")]
    [InlineData("d")]
    public void Of_WhenNothingOfTheLayerIsHot_MovesNothing(string hot)
    {
        LayerOrder order = LayerOrder.Of([Dir("d"), File("d/x"), Symlink("link", "d/x")], Files(hot));

        order.First.ShouldBeEmpty();
        order.IsInPlace.ShouldBeTrue();
    }

    [Fact]
    public void Of_WhenLayerWritesThroughItsSymlinks_MovesNothing() =>
        LayerOrder.Of([Dir("usr/lib"), Symlink("lib", "usr/lib"), File("lib/a"), File("usr/lib/hot", "h")], Files("usr/lib/hot")).First.ShouldBeEmpty();

    [Fact]
    public void Of_WhenEntriesAreMany_NeedsFewOfThem()
    {
        LayerEntry[] entries = [Dir("d"), .. Enumerable.Range(0, 5000).Select(i => File($"d/{i}", $"{i}"))];

        LayerOrder.Of(entries, Files("d/4999", "d/17")).First.ShouldBe([0, 5000, 18]);
    }

    [Fact]
    public void Of_WhenFirstFilesAreInPlace_SaysSo()
    {
        LayerOrder.Of([Dir("d"), File("d/a", "a"), File("b")], Files("d/a")).IsInPlace.ShouldBeTrue();
        LayerOrder.Of([File("b"), Dir("d"), File("d/a", "a")], Files("d/a")).IsInPlace.ShouldBeFalse();
    }

    /// <summary>The rule that all others serve: a container cannot tell. Layers as odd as the merger takes them, on lower layers and as the base.</summary>
    [Fact]
    public void Of_WhenLayersAreRandom_GivesTheSameTree()
    {
        int moved = 0;
        for (int seed = 0; seed < 20_000; seed++)
        {
            Random random = new(seed);
            LayerEntry[] lower = random.Next(3) == 0 ? [] : RandomLayers.Create(random, 12);
            LayerEntry[] upper = RandomLayers.Create(random, random.Next(1, 25));
            LayerEntry[] top = random.Next(2) == 0 ? [] : RandomLayers.Create(random, 6);
            PrioritizedFiles files = new(Enumerable.Range(0, random.Next(1, 6)).Select(_ => upper[random.Next(upper.Length)].Path));
            LayerOrder order = LayerOrder.Of(upper, files);
            LayerEntry[] reordered = Apply(upper, order);
            moved += order.IsInPlace ? 0 : 1;

            string before = RandomLayers.Describe(TreeMerger.Merge(lower.Length == 0 ? [upper, top] : [lower, upper, top]));
            string after = RandomLayers.Describe(TreeMerger.Merge(lower.Length == 0 ? [reordered, top] : [lower, reordered, top]));

            after.ShouldBe(before, $"seed {seed}: {string.Join(", ", upper.Select(e => $"{e.Kind} {e.Path}->{e.LinkTarget}"))} | hot {string.Join(", ", files.Paths)} | {string.Join(' ', order.First)}");
            LayerOrder again = LayerOrder.Of(reordered, files);
            (again.IsInPlace, again.First.Count).ShouldBe((true, order.First.Count), $"seed {seed}: once in order, always in order");
            order.First.Distinct().Count().ShouldBe(order.First.Count);
        }

        moved.ShouldBeGreaterThan(5000, "or the test shows nothing");
    }

    [Fact]
    public void In_WhenLayerHasSomeOfTheFiles_KeepsTheirOrder()
    {
        PrioritizedFiles files = Files("c", "a", "b", "a").In([File("a"), File("b"), File("c"), File("d")]);

        files.Paths.Select(p => p.Display).ShouldBe(["c", "a", "b"]);
        files.Digest.ShouldBe(Files("c", "a", "b").Digest);
        files.Digest.ShouldNotBe(Files("a", "c", "b").Digest);
        Files("c", "a", "b").In([Dir("c"), Symlink("a", "x"), HardLink("b", "d")]).Paths.Select(p => p.Display).ShouldBe(["b"]);
    }

    private static string[] Order(LayerEntry[] entries, params string[] hot)
    {
        LayerOrder order = LayerOrder.Of(entries, Files(hot));
        string[] names = [.. Apply(entries, order).Select(e => e.Path.Display)];
        return [.. names[..order.First.Count], "|", .. names[order.First.Count..]];
    }

    private static LayerEntry[] Apply(LayerEntry[] entries, LayerOrder order) => [.. order.First.Select(i => entries[i]), .. entries.Where((_, i) => !order.First.Contains(i))];

    private static PrioritizedFiles Files(params string[] paths) => new(paths.Select(PosixPath.FromText));
}
