using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>What the library takes over, and what it offers to build upon.</summary>
public sealed class ImageLibraryTests
{
    [Fact]
    public async Task FindBases_WhenAnImageCameFromAnotherProxy_LeavesItOut()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage image = rig.Proxy.Add("reg.example.com/app:1", ["a"], File("f", "one"));
        await rig.PullAsync(image);
        ProxyProfile other = ProxyProfile.Create("other", "http", "elsewhere", user: null, password: null).Value;

        rig.Library.FindBases(rig.Proxy.Profile, [image.Reference]).Select(b => b.ManifestDigest).ShouldBe([image.ManifestDigest]);
        rig.Library.FindBases(other, [image.Reference]).ShouldBeEmpty();
    }

    /// <summary>A tree that no annotation vouched for must not be what an annotated image of the same layers is mounted from.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Begin_WhenTheLayersAreHereWithAnotherTree_Refuses(bool complete)
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage forged = rig.Proxy.Add("reg.example.com/app:1", ["a"], File("f", "forged"));
        IncomingImage honest = rig.Proxy.Add("reg.example.com/app:2", ["a"], File("f", "honest"));
        if (complete)
        {
            await rig.PullAsync(forged);
        }
        else
        {
            (await rig.BeginAsync(forged)).Value.Start();
        }

        (await rig.BeginAsync(honest)).Error!.Code.ShouldBe("Image.Mismatch");

        (await rig.BeginAsync(forged)).IsSuccess.ShouldBeTrue();
    }

    /// <summary>As containerd's own pulls name it: tag and manifest.</summary>
    [Theory]
    [InlineData("reg.example.com/app:1", true)]
    [InlineData("reg.example.com/app:1@MANIFEST", true)]
    [InlineData("reg.example.com/app@MANIFEST", true)]
    [InlineData("reg.example.com/app:2", false)]
    [InlineData("reg.example.com/app", false)]
    [InlineData("reg.example.com/other:1", false)]
    public async Task FindBase_WhenTheImageWasPulledByTagAndDigest_KnowsItByEither(string named, bool found)
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage image = rig.Proxy.Add("reg.example.com/app:1", ["a"], File("f", "one"));
        await rig.PullAsync(image with { Reference = image.Reference.WithDigest(image.ManifestDigest) });

        ImageReference reference = ImageReference.Parse(named.Replace("MANIFEST", image.ManifestDigest.ToString(), StringComparison.Ordinal)).Value;

        rig.Library.FindBase(reference).IsSuccess.ShouldBe(found);
    }

    [Fact]
    public async Task FindBase_WhenThePullJoinedAnother_KnowsTheImageByBothNames()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage image = rig.Proxy.Add("reg.example.com/app:1", ["a"], File("f", "one"));
        IncomingImage same = rig.Proxy.Add("mirror.example.com/app:1", ["a"], File("f", "one"));
        (await rig.BeginAsync(image)).Value.Start();

        IImageReception joined = (await rig.BeginAsync(same)).Value;
        rig.Proxy.LetGo(image);
        (await joined.Completion).IsSuccess.ShouldBeTrue();

        rig.Library.FindBase(image.Reference).IsSuccess.ShouldBeTrue();
        rig.Library.FindBase(same.Reference).Value.ManifestDigest.ShouldBe(same.ManifestDigest);
    }
}
