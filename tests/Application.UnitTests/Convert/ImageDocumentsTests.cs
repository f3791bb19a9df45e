using System.Text;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Convert;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.UnitTests.Convert;

public class ImageDocumentsTests
{
    private static readonly Digest A = Digest.Of("a"u8);
    private static readonly Digest B = Digest.Of("b"u8);
    private static readonly Digest C = Digest.Of("c"u8);
    private static readonly Digest D = Digest.Of("d"u8);

    [Fact]
    public void Config_WhenDiffIdsChange_ChangesNothingElse()
    {
        string config = $$$"""{ "os":"linux","config":{"Env":["A=\u003cb>+"]},"rootfs":{"type":"layers","diff_ids":["{{{A}}}", "{{{B}}}"]},"history":[{"created_by":"RUN \u0026\u0026","n":1.0}] }""";

        Encoding.UTF8.GetString(ImageDocuments.Config("img", Encoding.UTF8.GetBytes(config), [C, D]))
            .ShouldBe(config.Replace(A.ToString(), C.ToString(), StringComparison.Ordinal).Replace(B.ToString(), D.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void Config_WhenCountsDiffer_Fails() =>
        Should.Throw<FailureException>(() => ImageDocuments.Config("img", """{"rootfs":{"diff_ids":[]}}"""u8.ToArray(), [C])).Error.Code.ShouldBe("Convert.Mismatch");

    [Fact]
    public void Manifest_WhenOci_KeepsEverythingElse()
    {
        string manifest = $$$"""
            {
               "schemaVersion": 2,
               "mediaType": "application/vnd.oci.image.manifest.v1+json",
               "artifactType": "x/y",
               "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": "{{{A}}}", "size": 7, "data": "e30=" },
               "layers": [
                  { "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": "{{{B}}}", "size": 32,
                    "annotations": { "keep": "me", "io.github.containers.zstd-chunked.manifest-checksum": "stale" }, "custom": 1.0 },
                  {"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":1,"digest":"{{{C}}}","annotations":{"containerd.io/snapshot/remote/starlight/filesystem.digest":"{{{D}}}"}}
               ],
               "subject": {"mediaType": "m", "digest": "{{{D}}}", "size": 1},
               "annotations": {"org.opencontainers.image.created": "2020"}
            }
            """;

        byte[] result = ImageDocuments.Manifest(
            ImageManifest.Parse(Encoding.UTF8.GetBytes(manifest)).Value, new Descriptor("c", D, 8), [Layer(A, changed: true), Layer(B, changed: false)], [A, C]);

        Encoding.UTF8.GetString(result).ShouldBe(
            $$$"""
            {
               "schemaVersion": 2,
               "mediaType": "application/vnd.oci.image.manifest.v1+json",
               "artifactType": "x/y",
               "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": "{{{D}}}", "size": 8 },
               "layers": [
                  { "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "{{{A}}}", "size": 5,
                    "annotations": { "keep": "me","containerd.io/snapshot/stargz/toc.digest":"{{{D}}}","io.containers.estargz.uncompressed-size":"9","containerd.io/snapshot/remote/starlight/source.digest":"{{{B}}}","containerd.io/snapshot/remote/starlight/filesystem.digest":"{{{A}}}" }, "custom": 1.0 },
                  {"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":5,"digest":"{{{B}}}","annotations":{"containerd.io/snapshot/stargz/toc.digest":"{{{D}}}","io.containers.estargz.uncompressed-size":"9"}}
               ],
               "subject": {"mediaType": "m", "digest": "{{{D}}}", "size": 1},
               "annotations": {"org.opencontainers.image.created": "2020","containerd.io/snapshot/remote/starlight/filesystem.digest":"{{{C}}}"}
            }
            """);
    }

    [Fact]
    public void Index_WhenEntriesChangeOrGo_PointsAttestationsToWhatIsThere()
    {
        string index = $$$"""
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
            {"digest":"{{{A}}}","size":1,"mediaType":"m","platform":{"os":"linux","architecture":"amd64"}},
            {"digest":"{{{B}}}","size":2,"mediaType":"m","platform":{"os":"linux","architecture":"arm64"}},
            {"digest":"{{{C}}}","size":3,"mediaType":"m","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.digest":"{{{A}}}","vnd.docker.reference.type":"attestation-manifest"}}
            ],"annotations":{"x":"y"}}
            """;
        ImageIndex parsed = ImageIndex.Parse(Encoding.UTF8.GetBytes(index)).Value;

        string result = Encoding.UTF8.GetString(ImageDocuments.Index(parsed, [new Descriptor("m", D, 44), null, parsed.Manifests[2]]));

        result.ShouldBe(
            $$$"""
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
            {"digest":"{{{D}}}","size":44,"mediaType":"m","platform":{"os":"linux","architecture":"amd64"}},
            {"digest":"{{{C}}}","size":3,"mediaType":"m","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.digest":"{{{D}}}","vnd.docker.reference.type":"attestation-manifest"}}
            ],"annotations":{"x":"y"}}
            """);
    }

    [Theory]
    [InlineData("all", "all")]
    [InlineData(" ALL ", "all")]
    [InlineData("linux/amd64,linux/aarch64", "linux/amd64, linux/arm64")]
    [InlineData("linux/amd64,linux/x86_64", "linux/amd64")]
    public void PlatformSelection_WhenWellFormed_IsParsed(string text, string expected) => PlatformSelection.Parse(text).Value.ToString().ShouldBe(expected);

    [Theory]
    [InlineData("")]
    [InlineData(",")]
    [InlineData("linux")]
    [InlineData(null)]
    public void PlatformSelection_WhenMalformed_SaysSo(string? text) => PlatformSelection.Parse(text).Error.ShouldNotBeNull().Code.ShouldBe("Platform.Malformed");

    private static ConvertedLayerInfo Layer(Digest digest, bool changed) => new(digest, 5, A, D, 9, B, IsUnchanged: !changed);
}
