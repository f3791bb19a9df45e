using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.Trees;

namespace Starlight.Domain.UnitTests.Ordering;

public class OrderInheritanceTests
{
    [Fact]
    public void FromVersion_TakesWhatIsEqualElseWhatIsAtThePathElseAtThePathButForVersions()
    {
        FileTree old = new SmallImage().File("same", "same").File("moved/from", "moved").File("changed", "1").File("lib/libx.so.1.2", "x1").File("gone", "gone").File("cold", "cold").Tree;
        FileTree renewed = new SmallImage().File("same", "same").File("moved/to", "moved").File("changed", "2").File("lib/libx.so.1.3", "x2").File("cold", "cold").Tree;

        IReadOnlyList<LearnedContent> inherited = OrderInheritance.FromVersion(Hot("x1", "gone", "changed", "1", "moved", "same"), old, renewed, []);

        inherited.Select(h => h.Content).ShouldBe(Digests("x2", "2", "moved", "same"));
        inherited[0].At.ShouldBe(TimeSpan.FromMilliseconds(0));
        inherited[^1].At.ShouldBe(TimeSpan.FromMilliseconds(5));
    }

    [Fact]
    public void FromVersion_WhenManyNamesDifferInANumberOnly_TakesNone()
    {
        SmallImage old = new SmallImage().File("data/1", "d1");
        SmallImage renewed = new();
        for (int i = 10; i < 20; i++)
        {
            renewed.File($"data/{i}", $"e{i}");
        }

        OrderInheritance.FromVersion(Hot("d1"), old.Tree, renewed.Tree, []).ShouldBeEmpty();
    }

    [Fact]
    public void FromVersion_OfWhatIsPredicted_TakesNewFilesBehindWhatTheyFollow()
    {
        FileTree old = new SmallImage().File("program", "p1").File("lib/a", "a").File("script", "never opened").Tree;
        FileTree renewed = new SmallImage().File("program", "p2").File("lib/a", "a").File("lib/new", "new").File("script", "never opened").Tree;

        OrderInheritance.FromVersion(Hot("p1", "a"), old, renewed, Digests("p2", "new", "a", "never opened")).Select(h => h.Content).ShouldBe(Digests("p2", "new", "a"));
    }

    [Fact]
    public void FromRelative_TakesWhatIsPredictedFirstAndThenWhatBothHave()
    {
        IReadOnlyList<LearnedContent> inherited = OrderInheritance.FromRelative(Hot("other program", "libc", "libz"), Digests("program", "libc", "libz", "cold").ToHashSet(), Digests("program", "libc"));

        inherited.Select(h => h.Content).ShouldBe(Digests("program", "libc", "libz"));
    }

    private static LearnedContent[] Hot(params string[] contents) =>
        [.. contents.Distinct().Select((c, i) => new LearnedContent(Digests(c)[0], i, TimeSpan.FromMilliseconds(i), 1, IsRare: false))];

    private static Digest[] Digests(params string[] contents) => [.. contents.Select(c => Digest.Of(Encoding.UTF8.GetBytes(c)))];
}
