using System.Text;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;

namespace Starlight.Domain.UnitTests.Catalog;

public sealed class CatalogGraphTests
{
    private static readonly DateTimeOffset Now = new(2026, 5, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset LongAgo = Now - TimeSpan.FromDays(30);
    private static readonly DateTimeOffset Cutoff = Now - TimeSpan.FromDays(7);

    [Fact]
    public void Unreachable_IsWhatNoTagNamesAndNobodyWanted()
    {
        CatalogGraph graph = new(
            [
                new(Of("tagged"), LongAgo, IsRoot: false),
                new(Of("listed by a tagged index"), LongAgo, IsRoot: false),
                new(Of("listed by an index without a tag"), LongAgo, IsRoot: false),
                new(Of("notified by digest"), LongAgo, IsRoot: true),
                new(Of("left by its tag lately"), Now, IsRoot: false),
                new(Of("left by its tag long ago"), LongAgo, IsRoot: false),
            ],
            new HashSet<Digest> { Of("tagged") },
            new HashSet<Digest> { Of("tagged index") },
            [(Of("tagged index"), Of("listed by a tagged index")), (Of("other index"), Of("listed by an index without a tag"))]);

        graph.Unreachable(Cutoff).ShouldBe([Of("listed by an index without a tag"), Of("left by its tag long ago")]);
    }

    [Fact]
    public void Unreachable_WhenUsedAtTheCutoff_Stays()
    {
        CatalogGraph graph = new([new(Of("a"), Cutoff, IsRoot: false)], new HashSet<Digest>(), new HashSet<Digest>(), []);

        graph.Unreachable(Cutoff).ShouldBeEmpty();
        graph.Unreachable(Cutoff + TimeSpan.FromMilliseconds(1)).ShouldBe([Of("a")]);
    }

    private static Digest Of(string name) => Digest.Of(Encoding.UTF8.GetBytes(name));
}
