using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Delta;
using Starlight.Domain.Content;
using Starlight.Domain.Images;

namespace Starlight.Application.UnitTests.Delta;

public sealed class PlatformMatchTests
{
    [Theory]
    [InlineData("linux/amd64", "linux/arm64,linux/amd64", "linux/amd64")]
    [InlineData("linux/amd64/v3", "linux/amd64,linux/amd64/v2", "linux/amd64/v2")]
    [InlineData("linux/amd64/v3", "linux/amd64/v4,linux/amd64", "linux/amd64")]
    [InlineData("linux/amd64", "linux/amd64/v2", null)]
    [InlineData("linux/arm/v7", "linux/arm/v6,linux/arm/v5", "linux/arm/v6")]
    [InlineData("linux/arm/v6", "linux/arm/v7", null)]
    [InlineData("linux/arm64/v8", "linux/arm64", "linux/arm64")]
    [InlineData("linux/s390x", "linux/amd64", null)]
    public void Match_GivesTheBestThatTheWorkerCanRun(string worker, string present, string? expected)
    {
        Dictionary<Platform, NamedImage> platforms = present.Split(',').ToDictionary(p => Platform.Parse(p).Value, p => new NamedImage(Digest.Of(System.Text.Encoding.ASCII.GetBytes(Platform.Parse(p).Value.ToString())), Index: null));

        NamedImage? match = Platform.Parse(worker).Value.Match(platforms);

        match?.Manifest.ShouldBe(Digest.Of(System.Text.Encoding.ASCII.GetBytes(expected ?? "")));
        (match is null).ShouldBe(expected is null);
    }
}
