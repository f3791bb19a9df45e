using System.Text;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;

namespace Starlight.Domain.UnitTests.Bundles;

public sealed class PatchPlannerTests
{
    [Fact]
    public void AddPatches_WhenPathsAreTheSame_TakesThat()
    {
        Image old = new(("usr/bin/app", 1000), ("usr/bin/other", 1000));
        Image now = new(("usr/bin/app", 1100), ("usr/bin/new", 1000));

        Bases(now, old).ShouldBe([("usr/bin/app", "usr/bin/app")]);
    }

    [Theory]
    [InlineData("usr/lib/libssl.so.1.1", "usr/lib/libssl.so.3")]
    [InlineData("usr/lib/python3.11/ssl.py", "usr/lib/python3.12/ssl.py")]
    [InlineData("usr/lib/jvm/java-17-openjdk/lib/modules", "usr/lib/jvm/java-21-openjdk/lib/modules")]
    [InlineData("usr/lib/libavif.so.15.0.1", "usr/lib/libavif.so.16")]
    [InlineData("opt/a/libicudata.so.72", "srv/b/libicudata.so.74.2")]
    [InlineData("opt/app-1.2.3/bin/run", "opt/app-1.10/bin/run")]
    public void AddPatches_WhenOnlyVersionsInNamesDiffer_FindsTheEarlierOne(string before, string after) =>
        Bases(new Image((after, 5000)), new Image((before, 4500), ("etc/x", 5000))).ShouldBe([(after, before)]);

    [Fact]
    public void AddPatches_WhenSeveralAreAlike_PrefersThePathThenTheShapeThenTheNearestSize()
    {
        Image old = new(("a/lib1.so", 990), ("a/lib2.so", 500), ("a/lib4.so", 700), ("b/lib5.so", 1000));

        Bases(new Image(("a/lib2.so", 1000)), old).ShouldBe([("a/lib2.so", "a/lib2.so")]);
        Bases(new Image(("a/lib3.so", 720)), old).ShouldBe([("a/lib3.so", "a/lib4.so")]);
        Bases(new Image(("c/lib3.so", 999)), old).ShouldBe([("c/lib3.so", "b/lib5.so")]);
    }

    [Fact]
    public void AddPatches_WhenSizesAreFarApartOrTiny_TakesNone()
    {
        Image old = new(("a", 1000), ("b", 100_000), ("c", 100), ("d", 1000));

        Bases(new Image(("a", 8008), ("b", 12_499), ("c", 127), ("d", 127)), old).ShouldBeEmpty();
        Bases(new Image(("a", 8000), ("b", 12_500)), old).Count.ShouldBe(2);
    }

    [Fact]
    public void AddPatches_WhenManyFilesShareAName_DoesNotGuess()
    {
        Image old = new([.. Enumerable.Range(0, 9).Select(i => ($"{(char)('a' + i)}/__init__.py", 1000))]);

        Bases(new Image(("z/__init__.py", 1000)), old).ShouldBeEmpty();
    }

    [Fact]
    public void AddPatches_WhenTheProxyCannotReadAContent_PassesItOver()
    {
        Image old = new(("lib1", 1000), ("lib2", 1000));

        Bases(new Image(("lib1", 1001)), old, missing: "lib1").ShouldBe([("lib1", "lib2")]);
    }

    [Fact]
    public void AddPatches_WhenSeveralBases_NamesOnlyThoseThatAreUsedInTheOrderOfTheirUse()
    {
        Image first = new(("x", 1000));
        Image second = new(("b", 1000));
        Image third = new(("a", 1000));
        Image now = new(("a", 1100), ("b", 1100), ("q", 1100));

        DeltaPlan plan = Plan(now, [first, second, third]);

        plan.Bases.Select(b => b.Filesystem).ShouldBe([third.Known.Filesystem, second.Known.Filesystem]);
        plan.Patches.Select(p => (p.Position, p.Image, p.Index)).ShouldBe([(0, 0, 0), (1, 1, 0)]);
        plan.Contents.Count.ShouldBe(3);
    }

    [Fact]
    public void Nearest_WhenImagesShareFiles_IsTheOneThatSharesMost()
    {
        (string, int)[] all = [.. Enumerable.Range(0, 1000).Select(i => ($"dir/file{(char)('a' + (i % 26))}/{i}x", 500))];
        Image now = new(all);
        Image half = new([.. all[..500], .. all[500..].Select(f => (f.Item1 + "moved", f.Item2))]);
        Image most = new(all[..900]);
        Image stranger = new(("else", 10));

        PatchPlanner.Nearest(now.Known.Contents, now.Known.Names, [stranger.Known, half.Known, most.Known]).ShouldBe(most.Known);
        PatchPlanner.Nearest(now.Known.Contents, now.Known.Names, [stranger.Known]).ShouldBeNull();
    }

    private static DeltaPlan Plan(Image now, Image[] old, string? missing = null) => PatchPlanner.AddPatches(
        DeltaPlanner.Plan([new OrderedImage(now.Known.Contents, [])], [.. old.Select(o => o.Known.Contents)]),
        [now.Known.Names],
        [.. old.Select(o => o.Known)],
        digest => missing is null || old.All(o => o.PathOf(digest) != missing));

    private static List<(string Content, string Base)> Bases(Image now, Image old, string? missing = null)
    {
        DeltaPlan plan = Plan(now, [old], missing);
        return [.. plan.Patches.Select(p => (now.PathOf(plan.Contents[p.Position].Content.Digest)!, old.PathOf(p.Base.Digest)!))];
    }

    /// <summary>Files that are told apart by path and size.</summary>
    private sealed class Image
    {
        private readonly Dictionary<Digest, string> _paths = [];

        public Image(params (string Path, int Size)[] files)
        {
            List<ContentRef> contents = [];
            List<ContentName> names = [];
            foreach ((string path, int size) in files)
            {
                Digest digest = Digest.Of(Encoding.UTF8.GetBytes($"{path} {size}"));
                _paths[digest] = path;
                contents.Add(new ContentRef(digest, size));
                string[] components = path.Split('/');
                PathHash directory = components[..^1].Aggregate(PathHash.Root, (hash, name) => hash.Append(Encoding.UTF8.GetBytes(name)));
                names.Add(directory.File(Encoding.UTF8.GetBytes(components[^1])));
            }

            Known = new KnownImage(Digest.Of(Encoding.UTF8.GetBytes(string.Join(' ', files))), contents, new ContentNames(names));
        }

        public KnownImage Known { get; }

        public string? PathOf(Digest digest) => _paths.GetValueOrDefault(digest);
    }
}
