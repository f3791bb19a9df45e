using Starlight.Application.Pull;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.UnitTests.Pull;

/// <summary>A proxy is not trusted: each link of the chain from reference to filesystem image is broken once.</summary>
public sealed class ImageCheckTests
{
    private static readonly Platform Amd64 = new("linux", "amd64");
    private static readonly ImageReference Tagged = ImageReference.Parse("reg.example.com/app:1").Value;

    [Fact]
    public void Check_WhenEverythingFits_NamesTheManifestAsTarget()
    {
        CheckedImage image = ImageCheck.Check(Tagged, Amd64, SampleImage.Good()).Value;

        image.Registration.Target.Digest.ShouldBe(Digest.Of(SampleImage.Manifest(SampleImage.Config())));
        image.Registration.Index.ShouldBeNull();
        image.Incoming.ChainIds.ShouldBe([SampleImage.DiffId]);
        image.Registration.Name.ShouldBe("reg.example.com/app:1");
    }

    [Fact]
    public void Check_WhenReferenceIsAnIndex_NamesTheIndexAsTarget()
    {
        byte[] manifest = SampleImage.Manifest(SampleImage.Config());
        byte[] index = SampleImage.Index(manifest);

        CheckedImage image = ImageCheck.Check(Tagged, Amd64, SampleImage.Bundle(manifest, SampleImage.Config(), index)).Value;

        image.Registration.Target.Digest.ShouldBe(Digest.Of(index));
        image.Registration.Manifest.Digest.ShouldBe(Digest.Of(manifest));
    }

    [Fact]
    public void Check_WhenAskedForTheManifestOfAnIndex_NamesTheManifest()
    {
        byte[] manifest = SampleImage.Manifest(SampleImage.Config());

        CheckedImage image = ImageCheck.Check(
            Tagged.WithDigest(Digest.Of(manifest)), Amd64, SampleImage.Bundle(manifest, SampleImage.Config(), SampleImage.Index(manifest))).Value;

        image.Registration.Target.Digest.ShouldBe(Digest.Of(manifest));
        image.Registration.Index.ShouldBeNull();
    }

    [Fact]
    public void Check_WhenDigestDiffers_Refuses() =>
        Refused(Tagged.WithDigest(Digest.Of("another"u8)), SampleImage.Good());

    [Fact]
    public void Check_WhenConfigurationIsAnother_Refuses() =>
        Refused(Tagged, SampleImage.Bundle(SampleImage.Manifest(SampleImage.Config()), SampleImage.Config("arm64")));

    [Fact]
    public void Check_WhenFilesystemImageIsAnother_Refuses() =>
        Refused(Tagged, SampleImage.Bundle(SampleImage.Manifest(SampleImage.Config(), Digest.Of("another"u8)), SampleImage.Config()));

    [Fact]
    public void Check_WhenIndexDoesNotListTheManifest_Refuses()
    {
        byte[] other = SampleImage.Manifest(SampleImage.Config("arm64"));

        Refused(Tagged, SampleImage.Bundle(SampleImage.Manifest(SampleImage.Config()), SampleImage.Config(), SampleImage.Index(other)));
    }

    [Fact]
    public void Check_WhenPlatformIsAnother_Refuses() =>
        Refused(Tagged, SampleImage.Bundle(SampleImage.Manifest(SampleImage.Config("arm64")), SampleImage.Config("arm64")));

    [Fact]
    public void Check_WhenLayerCountsDiffer_Refuses() =>
        Refused(Tagged, SampleImage.Bundle(SampleImage.Manifest(SampleImage.Config(), layers: 2), SampleImage.Config()));

    [Fact]
    public void Check_WhenThereIsNoLayer_SaysSo() =>
        ImageCheck.Check(Tagged, Amd64, SampleImage.Bundle(SampleImage.Manifest(SampleImage.Config(layers: 0), layers: 0), SampleImage.Config(layers: 0)))
            .Error!.Code.ShouldBe("Image.NoLayers");

    [Fact]
    public void Check_WhenPartOfAnImageWasAskedFor_GivesTheChainOfThatPart()
    {
        byte[] config = SampleImage.Config(layers: 2);
        BundleImage part = SampleImage.Bundle(SampleImage.Manifest(config, Digest.Of("whole"u8), layers: 2, below: Digest.Of(SampleImage.Filesystem)), config);

        CheckedImage image = ImageCheck.Check(Tagged, Amd64, part, layers: 1).Value;

        image.Incoming.ChainIds.ShouldBe([SampleImage.DiffId]);
        image.Incoming.ManifestDigest.ShouldBe(Digest.Of(part.Manifest.Span));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Check_WhenPartOfAnImageIsNotWhatItsManifestSays_Refuses(int layers)
    {
        byte[] config = SampleImage.Config(layers: 2);
        BundleImage part = SampleImage.Bundle(SampleImage.Manifest(config, layers: 2, below: Digest.Of("another"u8)), config);

        ImageCheck.Check(Tagged, Amd64, part, layers).Error!.Code.ShouldBe("Image.Mismatch");
    }

    private static void Refused(ImageReference reference, BundleImage image)
    {
        Error error = ImageCheck.Check(reference, Amd64, image).Error.ShouldNotBeNull();
        error.Code.ShouldBe("Image.Mismatch");
        error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        error.Message.ShouldStartWith(reference.ToString());
    }
}
