using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts;

namespace Starlight.Infrastructure.IntegrationTests.Mounts;

public sealed class OverlayLayersTests
{
    private static readonly OverlayLayers Complete = new("/s/e/1", "/s/objects");
    private static readonly OverlayLayers Arriving = Complete with { Gate = "/s/gate/7", Tail = "/s/gate/.tail" };

    [Fact]
    public void Writable_InOneOverlay_PutsTheGateBeforeTheObjectsAndTheTailLast() =>
        Arriving.Writable(MountMode.SingleOverlay, "/u", "/w").OptionText.ShouldBe(
            "index=off,metacopy=off,lowerdir=/s/e/1::/s/gate/7::/s/objects::/s/gate/.tail,upperdir=/u,workdir=/w");

    [Fact]
    public void Writable_OfACompleteImage_HasNoGate() =>
        Complete.Writable(MountMode.SingleOverlay, "/u", "/w").OptionText.ShouldBe(
            "index=off,metacopy=off,lowerdir=/s/e/1::/s/objects,upperdir=/u,workdir=/w");

    [Fact]
    public void ReadOnly_InOneOverlay_HasNoUpper() => Complete.ReadOnly(MountMode.SingleOverlay).OptionText.ShouldBe("ro,lowerdir=/s/e/1::/s/objects");

    [Fact]
    public void Nested_HasAnInnerOverlayAndAnOrdinaryOneOrABindOnIt()
    {
        Arriving.Inner(MountMode.NestedOverlay)!.OptionText.ShouldBe("ro,metacopy=on,lowerdir=/s/e/1::/s/gate/7::/s/objects::/s/gate/.tail");
        Arriving.Inner(MountMode.SingleOverlay).ShouldBeNull();
        Arriving.Writable(MountMode.NestedOverlay, "/u", "/w", "/in").OptionText.ShouldBe("index=off,metacopy=off,lowerdir=/in,upperdir=/u,workdir=/w");
        MountRecord view = Arriving.ReadOnly(MountMode.NestedOverlay, "/in");
        (view.Type, view.Source, view.OptionText).ShouldBe(("bind", "/in", "ro,rbind"));
    }

    [Theory]
    [InlineData("/a,b")]
    [InlineData("/a:b")]
    [InlineData("/a\\b")]
    [InlineData("/a\nb")]
    [InlineData("relative")]
    [InlineData("")]
    public void AnyLayer_WhosePathOverlayfsWouldMisread_IsRefused(string path)
    {
        Action[] uses =
        [
            () => (Complete with { Erofs = path }).Writable(MountMode.SingleOverlay, "/u", "/w"),
            () => (Complete with { Objects = path }).ReadOnly(MountMode.SingleOverlay),
            () => (Arriving with { Gate = path }).ReadOnly(MountMode.SingleOverlay),
            () => (Arriving with { Tail = path }).ReadOnly(MountMode.SingleOverlay),
            () => Complete.Writable(MountMode.SingleOverlay, path, "/w"),
            () => Complete.Writable(MountMode.SingleOverlay, "/u", path),
            () => Complete.ReadOnly(MountMode.NestedOverlay, path),
        ];
        uses.ShouldAllBe(use => CodeOf(use) == "Mount.PathUnusable");
    }

    [Fact]
    public void Options_BeyondOnePage_AreRefused() =>
        CodeOf(() => Complete.Writable(MountMode.SingleOverlay, "/" + new string('u', 4096), "/w")).ShouldBe("Mount.OptionsTooLong");

    [Fact]
    public void TreeMode_HasNoOverlays() => CodeOf(() => Complete.ReadOnly(MountMode.DirectoryTree)).ShouldBe("Mount.NoDataLayers");

    private static string CodeOf(Action action)
    {
        try
        {
            action();
        }
        catch (FailureException e)
        {
            return e.Error.Code;
        }

        return "none";
    }
}
