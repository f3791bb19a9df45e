using FsCheck;
using FsCheck.Fluent;
using Starlight.Infrastructure.Registry;
using Starlight.Infrastructure.Registry.Authentication;

namespace Starlight.Infrastructure.IntegrationTests.Registry;

public sealed class ChallengeTests
{
    [Fact]
    public void Parse_DockerHubsChallenge_HasItsParts()
    {
        Challenge challenge = Challenge.Parse("""Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/redis:pull,push" """).ShouldHaveSingleItem();

        challenge.IsBearer.ShouldBeTrue();
        challenge["realm"].ShouldBe("https://auth.docker.io/token");
        challenge["SERVICE"].ShouldBe("registry.docker.io");
        challenge["scope"].ShouldBe("repository:library/redis:pull,push");
    }

    [Fact]
    public void Parse_SeveralChallengesInOneHeader_KeepsThemApart()
    {
        IReadOnlyList<Challenge> challenges = Challenge.Parse("""Negotiate, Basic realm="a \"b\"", Bearer realm=https://x/t , service = y""");

        challenges.Select(c => c.Scheme).ShouldBe(["Negotiate", "Basic", "Bearer"]);
        challenges[1]["realm"].ShouldBe("a \"b\"");
        challenges[2]["realm"].ShouldBe("https://x/t");
        challenges[2]["service"].ShouldBe("y");
    }

    [Fact]
    public void Choose_PrefersBearerOverBasic() =>
        Challenge.Choose(["Basic realm=\"x\"", "Bearer realm=\"https://x\""])!.IsBearer.ShouldBeTrue();

    [Fact]
    public void Choose_WhenBearerHasNoRealm_TakesBasic() => Challenge.Choose(["Bearer service=\"x\", Basic realm=\"x\""])!.IsBasic.ShouldBeTrue();

    [Fact]
    public void Choose_WhenNothingIsKnown_IsNull() => Challenge.Choose(["Negotiate", "Digest realm=\"x\"", ""]).ShouldBeNull();

    [Theory]
    [InlineData("Bearer realm=\"unterminated")]
    [InlineData("Bearer realm=\"ends in escape\\")]
    [InlineData("Bearer =")]
    [InlineData("=,=,=")]
    [InlineData("\"")]
    public void Parse_MalformedHeaders_GiveNoRealm(string header) => Challenge.Parse(header).ShouldAllBe(c => c["realm"] == null);

    /// <summary>Any text ends, and quoted values come back as they were written.</summary>
    [Fact]
    public void Parse_AnyText_Ends() => Prop.ForAll<string>(text =>
    {
        text ??= "";
        _ = Challenge.Parse(text);
        string quoted = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
        return Challenge.Parse($"Bearer realm=\"{quoted}\"")[0]["realm"] == text;
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("docker.io", false, "https://registry-1.docker.io/")]
    [InlineData("registry.example", false, "https://registry.example/")]
    [InlineData("localhost:5000", false, "http://localhost:5000/")]
    [InlineData("127.9.9.9", false, "http://127.9.9.9/")]
    [InlineData("[::1]:5000", false, "http://[::1]:5000/")]
    [InlineData("localhost.example:5000", false, "https://localhost.example:5000/")]
    [InlineData("registry.example:80", true, "https://registry.example:80/ http://registry.example/")]
    public void Endpoint_IsPlainHttpOnlyForLoopbackAndInsecure(string registry, bool insecure, string expected) =>
        string.Join(' ', RegistryEndpoint.For(registry, insecure).Candidates).ShouldBe(expected);
}
