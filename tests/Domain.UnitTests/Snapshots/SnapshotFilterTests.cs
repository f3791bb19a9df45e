using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Domain.Snapshots.Filters;

namespace Starlight.Domain.UnitTests.Snapshots;

public sealed class SnapshotFilterTests
{
    private static readonly Snapshot[] Corpus =
    [
        Samples.Snapshot("a-np", SnapshotKind.Active),
        Samples.Snapshot("p", SnapshotKind.Committed),
        Samples.Snapshot("a", SnapshotKind.Active, parent: "p"),
        Samples.Snapshot("v", SnapshotKind.View, parent: "p", labels: [("l", "3"), ("containerd.io/snapshot.ref", "sha256:ab")]),
        Samples.Snapshot("a-wl", SnapshotKind.Active, parent: "p", labels: [("l", "2"), ("more \\ and \".post", "present")]),
    ];

    [Theory]
    [InlineData("", "a-np p a v a-wl")]
    [InlineData("name", "a-np p a v a-wl")]
    [InlineData("kind==active", "a-np a a-wl")]
    [InlineData("kind==Active", "")]
    [InlineData("kind==view", "v")]
    [InlineData("kind==committed", "p")]
    [InlineData("kind!=active", "p v")]
    [InlineData("name==p", "p")]
    [InlineData("name == p", "p")]
    [InlineData("parent==p", "a v a-wl")]
    [InlineData("parent!=\"\"", "a v a-wl")]
    [InlineData("parent==\"\"", "a-np p")]
    [InlineData("labels.l", "v a-wl")]
    [InlineData("labels.l==2", "a-wl")]
    [InlineData("labels.l!=2", "a-np p a v")]
    [InlineData("labels.\"l\"==2,kind==active", "a-wl")]
    [InlineData("labels.\"containerd.io/snapshot.ref\"==sha256:ab,parent==\"p\"", "v")]
    [InlineData("labels.\"containerd.io/snapshot.ref\"==sha256:ab,parent==\"q\"", "")]
    [InlineData("labels.\"more \\\\ and \\\"\".post==present", "a-wl")]
    [InlineData("labels", "")]
    [InlineData("unknown", "")]
    [InlineData("unknown!=x", "a-np p a v a-wl")]
    [InlineData("name~=^a", "a-np a a-wl")]
    [InlineData("name~=/^a-[nw]/", "a-np a-wl")]
    [InlineData("name~=|^a(-wl){0,1}$|", "a a-wl")]
    [InlineData("labels.l~=/.*/", "a-np p a v a-wl")]
    [InlineData("labels.l~=[[:digit:]]", "v a-wl")]
    [InlineData("name~=(", "")]
    [InlineData("name~=(?P<first>^a)$", "a")]
    [InlineData("name==\"\\x70\"", "p")]
    [InlineData("name==\"\\u0070\"", "p")]
    [InlineData("name==\"\\160\"", "p")]
    public void Matches_OneFilter_SelectsWhatContainerdWould(string filter, string expected) =>
        Select(filter).ShouldBe(expected.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    [Fact]
    public void Matches_SeveralFilters_SelectsWhatAnyOfThemSelects() =>
        Select("name==p", "name==a-wl").ShouldBe(["p", "a-wl"]);

    [Fact]
    public void Matches_NoFilters_SelectsEverything() =>
        SnapshotFilter.Parse([]).Value.Matches(Corpus[0]).ShouldBeTrue();

    [Theory]
    [InlineData("name==foo,", "filters: parse error: [name==foo,]: expected field or quoted")]
    [InlineData("labels.", "filters: parse error: [labels.]: expected field or quoted")]
    [InlineData("image~=,id?=?fbaq", "filters: parse error: [image~= >|,|< id?=?fbaq]: expected value or quoted")]
    [InlineData("labels.?\"x\".post==present", "filters: parse error: [labels. >|?|< \"x\".post==present]: expected field or quoted")]
    [InlineData("labels.|foo|==x", "filters: parse error: [labels. >|||< foo|==x]: invalid quote encountered")]
    [InlineData("labels.ns/key==value", "filters: parse error: [labels.ns >|/|< key==value]: quoted literal not terminated")]
    [InlineData("labels.key==/value", "filters: parse error: [labels.key== >|/|< value]: quoted literal not terminated")]
    [InlineData("name=x", "filters: parse error: [name >|=|< x]: unsupported operator \"=\"")]
    [InlineData("name==\"\\q\"", "filters: parse error: [name== >|\"|< \\q\"]: illegal escape sequence")]
    [InlineData("name==\"\\u12\"", "filters: parse error: [name== >|\"|< \\u12\"]: illegal numeric escape sequence")]
    [InlineData("name==\"a\"b", "filters: parse error: [name==\"a\" >|b|< ]: unexpected input: expected a comma")]
    [InlineData("name==", "filters: parse error: [name==]: expected value or quoted")]
    public void Parse_WhenMalformed_SaysWhere(string filter, string message)
    {
        Error error = SnapshotFilter.Parse(filter).Error.ShouldNotBeNull();

        error.Kind.ShouldBe(ErrorKind.InvalidInput);
        error.Message.ShouldBe(message);
    }

    [Fact]
    public void Parse_WhenAnyFilterIsMalformed_Fails() =>
        SnapshotFilter.Parse("name==p", "name=").IsSuccess.ShouldBeFalse();

    [Fact]
    public void Parse_OfAnyText_GivesAFilterOrAnInputError()
    {
        string[] pieces = ["name", "labels", ".", ",", "==", "!=", "~=", "=", "\"", "/", "|", "\\", "\\x4", "\\u12", " ", "\0", "\uFFFD", "\uD800", "é", "[", "(", "a+", "\n"];
        Gen<string> text = Gen.Elements(pieces).ListOf().Select(string.Concat);

        Prop.ForAll(text.ToArbitrary(), filter =>
        {
            Result<SnapshotFilter> parsed = SnapshotFilter.Parse(filter);
            return parsed.IsSuccess ? parsed.Value.Matches(Corpus[0]) || true : parsed.Error.Kind == ErrorKind.InvalidInput;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Matches_AnyQuotedValue_IsThatValue() =>
        Prop.ForAll<NonEmptyString>(value =>
        {
            string name = string.Concat(value.Get.EnumerateRunes().Where(rune => rune.Value is not (0 or 0xFFFD)).Select(rune => rune.ToString()));
            if (name.Length == 0)
            {
                return true;
            }

            string quoted = name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
            return SnapshotFilter.Parse($"name==\"{quoted}\"").Value.Matches(Samples.Snapshot(name, SnapshotKind.Active));
        }).QuickCheckThrowOnFailure();

    private static IEnumerable<string> Select(params string[] filters)
    {
        SnapshotFilter filter = SnapshotFilter.Parse(filters).Value;
        return Corpus.Where(filter.Matches).Select(snapshot => snapshot.Key.Value);
    }
}
