using Starlight.Domain.Snapshots;
using Starlight.Domain.Snapshots.Filters;

namespace Starlight.Domain.UnitTests.Snapshots;

public sealed class GoRegularExpressionTests
{
    [Theory]
    [InlineData("^redis$", "redis", true)]
    [InlineData("^redis$", "redis\n", false)]
    [InlineData("(?m)^a$", "b\na", true)]
    [InlineData("(?i)REDIS", "redis", true)]
    [InlineData("(?P<x>a)b", "ab", true)]
    [InlineData(@"^\d+$", "42", true)]
    [InlineData(@"^\d+$", "٤٢", false)]
    [InlineData(@"^[\d.]+$", "1.2", true)]
    [InlineData(@"^[\w-]+$", "a-b", true)]
    [InlineData("^[[:alpha:]_]+$", "a_b", true)]
    [InlineData("^[[:alpha:]_]+$", "a1", false)]
    [InlineData("^[a[]$", "[", true)]
    [InlineData("^[]a]+$", "]a", true)]
    [InlineData("^[^]a]$", "b", true)]
    [InlineData("^[a-z-[b]]$", "-]", true)]
    [InlineData(@"\Qa.b\E", "a.b", true)]
    [InlineData(@"\Qa.b\E", "axb", false)]
    [InlineData(@"^a\.b\z", "a.b", true)]
    public void Matches_WithGoSyntax_MatchesAsGoDoes(string expression, string text, bool matches) =>
        Matches(expression, text).ShouldBe(matches);

    [Theory]
    [InlineData("(")]
    [InlineData("[a")]
    [InlineData("a**")]
    [InlineData(@"(a)\1")]
    [InlineData("(?=a)")]
    public void Matches_WithWhatGoRefuses_MatchesNothing(string expression) => Matches(expression, "a").ShouldBeFalse();

    private static bool Matches(string expression, string name) =>
        SnapshotFilter.Parse($"name~={expression}").Value.Matches(Samples.Snapshot(name, SnapshotKind.Active));
}
