using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.UnitTests.Scanning;

public sealed class ScanRuleTests
{
    private static readonly string[] Registries = ["r.example", "r.example:5000", "localhost", "docker.io"];
    private static readonly string[] Repositories = ["library/redis", "team/app", "team/sub/app", "starlight/app", "a"];
    private static readonly string[] Tags = ["1", "latest", "1-starlight", "v2.0", "a"];
    private static readonly string[] Sources = ["*:*", "library/*:*", "team/*:v*", "r.example/*:*", "*/app:*", "*:*-starlight", "*"];
    private static readonly string[] Destinations =
    [
        "{repository}:{tag}-starlight", "starlight/{name}:{tag}", "mirror.example/{repository}:{tag}", "{registry}/{repository}-sl:{tag}", "r.example/{repository}:{tag}", "docker.io/{name}:{tag}", "x/{name}-{name}:a{tag}a",
    ];

    [Theory]
    [InlineData("library/*:*", "r.example/library/redis:7", true)]
    [InlineData("library/*:*", "r.example/library/a/b:7", true)]
    [InlineData("library/*:*", "r.example/other/redis:7", false)]
    [InlineData("library/*", "r.example/library/redis:7", true)]
    [InlineData("library/redis:7.*", "r.example/library/redis:7.2", true)]
    [InlineData("library/redis:7.*", "r.example/library/redis:71", false)]
    [InlineData("r.example/*:*", "r.example/a:1", true)]
    [InlineData("r.example/*:*", "other.example/a:1", false)]
    [InlineData("*.example/*:*", "other.example/a:1", true)]
    [InlineData("localhost:5000/a:*", "localhost:5000/a:1", true)]
    [InlineData("localhost:5000/a:*", "localhost/a:1", false)]
    [InlineData("*", "r.example/a/b/c:1", true)]
    public void Matches_ForEachKindOfPattern_IsAsDocumented(string pattern, string pushed, bool expected) =>
        SourcePattern.Parse(pattern).Value.Matches(Ref(pushed)).ShouldBe(expected);

    [Theory]
    [InlineData("")]
    [InlineData("a:")]
    [InlineData(":a")]
    [InlineData("r.example/:a")]
    [InlineData("a@sha256:aa")]
    [InlineData("a b:c")]
    [InlineData("library/(x):y")]
    public void Parse_WhenPatternIsMalformed_SaysWhatAPatternIs(string pattern)
    {
        Error error = SourcePattern.Parse(pattern).Error!;

        error.Code.ShouldBe("Scanner.PatternMalformed");
        error.Message.ShouldContain("library/*:*");
    }

    [Theory]
    [InlineData("{repository}:{tag}-starlight", "r.example/library/redis:7-starlight")]
    [InlineData("starlight/{name}:{tag}", "r.example/starlight/redis:7")]
    [InlineData("mirror.example:5000/{repository}:{tag}", "mirror.example:5000/library/redis:7")]
    [InlineData("{registry}/{repository}-sl:{tag}", "r.example/library/redis-sl:7")]
    [InlineData("team/{name}:newest", "r.example/team/redis:newest")]
    public void Apply_ForEachPlaceholder_FillsItIn(string template, string expected) =>
        DestinationTemplate.Parse(template).Value.Apply(Ref("r.example/library/redis:7")).Value.ToString().ShouldBe(expected);

    [Theory]
    [InlineData("{repository}", "no tag")]
    [InlineData("{repository}:{tag}", "source itself")]
    [InlineData("{registry}/{repository}:{tag}", "source itself")]
    [InlineData("{image}:{tag}", "braces")]
    [InlineData("{repository}:{tag", "braces")]
    [InlineData("a/{registry}:{tag}", "cannot be part")]
    [InlineData("a:{repository}", "cannot be part")]
    [InlineData("{name}.example/a:{tag}", "mixes")]
    [InlineData("UP/{Name}:1", "braces")]
    [InlineData("a/B:{tag}", "not a repository")]
    [InlineData("a:{tag}*", "not a tag")]
    public void Parse_WhenDestinationIsMalformed_SaysWhy(string template, string why)
    {
        Error error = DestinationTemplate.Parse(template).Error!;

        error.Code.ShouldBe("Scanner.DestinationMalformed");
        error.Message.ShouldContain(why);
    }

    [Fact]
    public void Apply_WhenResultIsTooLong_Fails() =>
        DestinationTemplate.Parse("{repository}:{tag}-starlight").Value.Apply(Ref("r.example/a:" + new string('t', 128))).Error!.Code.ShouldBe("Reference.Malformed");

    [Fact]
    public void Find_WhenSeveralRulesMatch_TakesTheFirst()
    {
        ScanRules rules = new([Rule("library/secret:*", ignore: true), Rule("library/*:*", "{repository}:{tag}-starlight"), Rule("*:*")]);

        rules.Find(Ref("r.example/library/secret:1"))!.Action.ShouldBe(ScanAction.Ignore);
        rules.Find(Ref("r.example/library/redis:1"))!.Action.ShouldBe(ScanAction.Convert);
        rules.Find(Ref("r.example/team/app:1"))!.Action.ShouldBe(ScanAction.Index);
        rules.Find(Ref("r.example/library/redis:1-starlight"))!.Action.ShouldBe(ScanAction.Index, "what a rule makes is not converted again");
    }

    [Fact]
    public void Find_WhenNoRuleMatches_FindsNone() => new ScanRules([Rule("library/*:*")]).Find(Ref("r.example/team/app:1")).ShouldBeNull();

    /// <summary>However rules are combined: the proxy's own push never makes it convert again.</summary>
    [Fact]
    public void Find_ForWhatAnyRuleMakes_NeverConverts()
    {
        Gen<ScanRule> rule = from source in Gen.Elements(Sources) from destination in Gen.Elements(Destinations) select Rule(source, destination);
        Gen<ImageReference> pushed = from registry in Gen.Elements(Registries) from repository in Gen.Elements(Repositories) from tag in Gen.Elements(Tags) select Ref($"{registry}/{repository}:{tag}");
        int converted = 0;
        Prop.ForAll(rule.NonEmptyListOf().ToArbitrary(), pushed.ToArbitrary(), (rules, push) =>
        {
            ScanRules all = new([.. rules]);
            if (all.Find(push) is { Action: ScanAction.Convert } found)
            {
                converted++;
                ImageReference made = found.Destination!.Apply(push).Value;
                return made != push && all.Find(made)?.Action != ScanAction.Convert;
            }

            return true;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
        converted.ShouldBeGreaterThan(100, "the property must not hold for want of cases");
    }

    /// <summary>Against the plain definition: a star is any run of characters.</summary>
    [Fact]
    public void Matches_ForAnyPattern_IsWhatARegularExpressionSays()
    {
        Gen<string> text = Gen.Elements('a', 'b', '/', '*').ListOf().Select(c => string.Concat(c));
        Prop.ForAll(text.ToArbitrary(), text.ToArbitrary(), (pattern, candidate) =>
        {
            string subject = candidate.Replace('*', 'c');
            string expression = "^" + pattern.Replace("*", ".*", StringComparison.Ordinal) + "$";
            return Wildcard.Matches(pattern, subject) == System.Text.RegularExpressions.Regex.IsMatch(subject, expression, System.Text.RegularExpressions.RegexOptions.None, TimeSpan.FromSeconds(5));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    private static ImageReference Ref(string text) => ImageReference.Parse(text).Value;

    private static ScanRule Rule(string source, string? destination = null, bool ignore = false) => new(
        SourcePattern.Parse(source).Value,
        ignore ? ScanAction.Ignore : destination is null ? ScanAction.Index : ScanAction.Convert,
        destination is null ? null : DestinationTemplate.Parse(destination).Value,
        []);
}
