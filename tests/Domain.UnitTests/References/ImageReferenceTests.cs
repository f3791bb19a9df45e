using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.UnitTests.References;

public sealed class ImageReferenceTests
{
    private const string Hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    [Theory]
    [InlineData("redis", "docker.io/library/redis:latest")]
    [InlineData("redis:7", "docker.io/library/redis:7")]
    [InlineData("me/app", "docker.io/me/app:latest")]
    [InlineData("index.docker.io/redis", "docker.io/library/redis:latest")]
    [InlineData("localhost/app", "localhost/app:latest")]
    [InlineData("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1")]
    [InlineData("[::1]:5000/a", "[::1]:5000/a:latest")]
    [InlineData("reg.example.com/a/b/c", "reg.example.com/a/b/c:latest")]
    [InlineData("reg/app@sha256:" + Hex, "docker.io/reg/app@sha256:" + Hex)]
    [InlineData("reg.example.com/app:v1@sha256:" + Hex, "reg.example.com/app:v1@sha256:" + Hex)]
    public void Parse_WhenWellFormed_CompletesAsContainerdsToolsDo(string text, string canonical) =>
        ImageReference.Parse(text).Value.ToString().ShouldBe(canonical);

    [Theory]
    [InlineData("")]
    [InlineData("  ")]
    [InlineData(null)]
    [InlineData("Redis")]
    [InlineData("a//b")]
    [InlineData("a:b:c/d")]
    [InlineData("redis:")]
    [InlineData("redis:-x")]
    [InlineData("redis@sha256:12")]
    [InlineData("redis@md5:d41d8cd98f00b204e9800998ecf8427e")]
    [InlineData("re_.dis/../x")]
    [InlineData("reg.example.com/")]
    [InlineData("reg.example.com:port/a")]
    [InlineData("http://reg.example.com/a")]
    [InlineData("a b")]
    public void Parse_WhenMalformed_SaysWhatIsWrongInOneLine(string? text)
    {
        Result<ImageReference> result = ImageReference.Parse(text);

        result.Error!.Code.ShouldBe("Reference.Malformed");
        result.Error.Kind.ShouldBe(ErrorKind.InvalidInput);
        result.Error.Message.ShouldNotContain("\n");
    }

    [Fact]
    public void Parse_WhenNameIsTooLong_Refuses() =>
        ImageReference.Parse("reg.example.com/" + new string('a', 240)).Error!.Message.ShouldContain("255");

    [Fact]
    public void TagOrDigest_WhenBoth_PrefersTheDigest() =>
        ImageReference.Parse($"redis:7@sha256:{Hex}").Value.TagOrDigest.ShouldBe("sha256:" + Hex);
}
