using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.Content;

namespace Starlight.Domain.UnitTests.Content;

public sealed class DigestTests
{
    private const string OfNothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    [Fact]
    public void Of_WhenEmpty_IsTheWellKnownDigest()
    {
        Digest.Of([]).ToString().ShouldBe(OfNothing);
        Digest.Empty.ShouldBe(Digest.Parse(OfNothing).Value);
        Digest.Empty.ObjectPath.ShouldBe("e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    [Theory]
    [InlineData("sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")]
    [InlineData("sha256:e3b0")]
    [InlineData("sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85g")]
    [InlineData("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555")]
    [InlineData("")]
    [InlineData(null)]
    public void Parse_WhenMalformed_Fails(string? text) => Digest.Parse(text).Error!.Code.ShouldBe("Digest.Malformed");

    [Fact]
    public void CompareTo_Always_OrdersLikeTheHexForms() =>
        Prop.ForAll<byte[], byte[]>((a, b) =>
            Math.Sign(Digest.Of(a).CompareTo(Digest.Of(b))) == Math.Sign(string.CompareOrdinal(Digest.Of(a).Hex, Digest.Of(b).Hex))).QuickCheckThrowOnFailure();

    [Fact]
    public void Parse_WhenPrinted_GivesTheSame() =>
        Prop.ForAll<byte[]>(bytes => Digest.Parse(Digest.Of(bytes).ToString()).Value == Digest.Of(bytes) && new Digest(Digest.Of(bytes).ToArray()) == Digest.Of(bytes))
            .QuickCheckThrowOnFailure();
}
