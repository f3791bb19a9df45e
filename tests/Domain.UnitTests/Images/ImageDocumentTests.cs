using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.UnitTests.Images;

public sealed class ImageDocumentTests
{
    private const string A = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    private const string B = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    [Fact]
    public void ParseManifest_WhenOci_ReadsWhatIsUsedAndKeepsTheBytes()
    {
        byte[] raw = Utf8($$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","unknown":[1],
             "config":{"mediaType":"{{MediaTypes.OciConfig}}","digest":"{{A}}","size":7},
             "layers":[{"mediaType":"{{MediaTypes.OciLayerGzip}}","digest":"{{B}}","size":9,"annotations":{"k":"v+w"} }],
             "annotations":{"x":"y"} }
            """);

        ImageManifest manifest = ImageManifest.Parse(raw).Value;

        manifest.Raw.ToArray().ShouldBe(raw);
        manifest.Digest.ShouldBe(Digest.Of(raw));
        manifest.IsImage.ShouldBeTrue();
        manifest.Config.ShouldSatisfyAllConditions(c => c.Digest.ToString().ShouldBe(A), c => c.Size.ShouldBe(7));
        manifest.Layers.ShouldHaveSingleItem().Annotations["k"].ShouldBe("v+w");
        manifest.Annotations["x"].ShouldBe("y");
    }

    [Fact]
    public void IsImage_WhenAttestation_IsFalse() =>
        ImageManifest.Parse(Utf8($$"""
            {"mediaType":"{{MediaTypes.OciManifest}}","config":{"mediaType":"{{MediaTypes.OciConfig}}","digest":"{{A}}","size":7},
             "layers":[{"mediaType":"application/vnd.in-toto+json","digest":"{{B}}","size":9}]}
            """)).Value.IsImage.ShouldBeFalse();

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"config":{"digest":"sha256:zz","size":1}}""")]
    [InlineData("""{"config":{"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":-1}}""")]
    [InlineData("""{"config":{"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":"1"}}""")]
    [InlineData("""{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}""")]
    public void ParseManifest_WhenMalformed_IsDataCorrupt(string json) =>
        ImageManifest.Parse(Utf8(json)).Error!.ShouldSatisfyAllConditions(e => e.Code.ShouldBe("Manifest.Malformed"), e => e.Kind.ShouldBe(ErrorKind.DataCorrupt));

    [Fact]
    public void ChainIds_WhenSeveralLayers_FollowTheSpecification()
    {
        // image-spec config.md: chain(1) = sha256(chain(0) " " diffID(1))
        ImageConfig config = ImageConfig.Parse(Utf8($$"""{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["{{A}}","{{B}}"]} }""")).Value;

        config.ChainIds().Select(c => c.ToString()).ShouldBe([A, Digest.Of(Utf8($"{A} {B}")).ToString()]);
    }

    [Theory]
    [InlineData("linux/amd64", "linux/amd64")]
    [InlineData("Linux/x86_64", "linux/amd64")]
    [InlineData("linux/aarch64", "linux/arm64")]
    [InlineData("linux/arm64/v8", "linux/arm64")]
    [InlineData("linux/arm", "linux/arm/v7")]
    [InlineData("linux/arm/v6", "linux/arm/v6")]
    public void ParsePlatform_Always_NormalisesAsContainerdDoes(string text, string expected) => Platform.Parse(text).Value.ToString().ShouldBe(expected);

    [Theory]
    [InlineData("linux")]
    [InlineData("linux/")]
    [InlineData("linux/amd64/v1/x")]
    [InlineData("li nux/amd64")]
    [InlineData("")]
    public void ParsePlatform_WhenMalformed_Fails(string text) => Platform.Parse(text).Error!.Code.ShouldBe("Platform.Malformed");

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
