using Starlight.Domain.References;

namespace Starlight.Domain.UnitTests.References;

public sealed class RepositoryPatternsTests
{
    [Theory]
    [InlineData("*", "a.example/x", true)]
    [InlineData("a.example/team/*", "a.example/team/app", true)]
    [InlineData("a.example/team/*", "a.example/team/app/debug", true)]
    [InlineData("a.example/team/*", "a.example/teams/app", false)]
    [InlineData("a.example/team/*", "b.example/a.example/team/app", false)]
    [InlineData("a.example/team", "a.example/team/app", false)]
    [InlineData("*/team/*", "b.example:5000/team/app", true)]
    [InlineData("*-debug", "b.example/app-debug", true)]
    [InlineData("*-debug", "b.example/app-debug/x", false)]
    [InlineData("team/*", "docker.io/team/app", true)]
    [InlineData("team/*", "a.example/team/app", false)]
    [InlineData("redis", "docker.io/library/redis", true)]
    [InlineData("localhost/redis", "localhost/redis", true)]
    [InlineData("a.example/*a*b*c*", "a.example/xaxbxbxc", true)]
    [InlineData("a.example/*a*b*c*", "a.example/xaxcxb", false)]
    public void Includes_ForAName_FollowsThePattern(string pattern, string name, bool expected) =>
        RepositoryPatterns.Parse([pattern], ImageReference.DefaultRegistry).Value.Includes(name).ShouldBe(expected);

    [Fact]
    public void Includes_WhenThereIsNoPattern_IsNothing() => RepositoryPatterns.Parse([], "a.example").Value.Includes("a.example/x").ShouldBeFalse();

    [Theory]
    [InlineData("")]
    [InlineData("team/?")]
    [InlineData("team app")]
    [InlineData("app:1 ")]
    public void Parse_WhenMalformed_Refuses(string pattern) => RepositoryPatterns.Parse([pattern], "a.example").Error!.Code.ShouldBe("Access.PatternMalformed");
}
