using Starlight.Application.OnDemand;
using Starlight.Domain.Content;

namespace Starlight.Application.UnitTests.OnDemand;

public sealed class LayerOriginTests
{
    private static readonly string Digest = Domain.Content.Digest.Of("manifest"u8).ToString();

    [Fact]
    public void Of_CriLabels_IsTheImageAtTheManifestBeingUnpacked() =>
        Of(("containerd.io/snapshot/cri.image-ref", "docker.io/library/redis:7"), ("containerd.io/snapshot/cri.manifest-digest", Digest)).ShouldBe($"docker.io/library/redis:7@{Digest}");

    [Fact]
    public void Of_CriLabelsOfAnIndexDigest_NamesTheManifestInstead() =>
        Of(("containerd.io/snapshot/cri.image-ref", $"reg.example.com/app@{Domain.Content.Digest.Of("index"u8)}"), ("containerd.io/snapshot/cri.manifest-digest", Digest))
            .ShouldBe($"reg.example.com/app@{Digest}");

    [Fact]
    public void Of_StargzLabels_IsTheImageAsNamed() => Of(("containerd.io/snapshot/remote/stargz.reference", "reg.example.com/app:1")).ShouldBe("reg.example.com/app:1");

    [Theory]
    [InlineData("containerd.io/snapshot/cri.layer-digest", "sha256:00")]
    [InlineData("containerd.io/snapshot/cri.image-ref", "Not A Reference")]
    [InlineData("containerd.io/snapshot/cri.image-ref", "")]
    public void Of_LabelsWithoutAnImage_IsNull(string name, string value) => Of((name, value)).ShouldBeNull();

    [Fact]
    public void Of_AnUnreadableManifestDigest_IsTheImageAsNamed() =>
        Of(("containerd.io/snapshot/cri.image-ref", "reg.example.com/app:1"), ("containerd.io/snapshot/cri.manifest-digest", "md5:1")).ShouldBe("reg.example.com/app:1");

    private static string? Of(params (string Name, string Value)[] labels) => LayerOrigin.Of(labels.ToDictionary(l => l.Name, l => l.Value))?.Image.ToString();
}
