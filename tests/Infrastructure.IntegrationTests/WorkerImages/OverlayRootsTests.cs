using Starlight.Application.Abstractions.Snapshots;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.WorkerImages;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>What the library mounts for containers on kernels with data-only layers.</summary>
public sealed class OverlayRootsTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly RootsRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public void Attach_InOneOverlay_NamesTheLayersAndMountsTheImageOnly()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay);

        RootFilesystemLayers early = roots.Attach(_rig.Tree, "one");
        early.ShouldBe(roots.Attach(_rig.Tree, "one"));
        early.GateDirectory.ShouldNotBeNull();
        early.TailDirectory.ShouldNotBeNull();
        roots.Attach(_rig.Tree, "two").GateDirectory.ShouldNotBe(early.GateDirectory);
        _rig.Complete();

        roots.Attach(_rig.Tree, "one").ShouldBe(new RootFilesystemLayers(_rig.Tree.MountPoint, null, _rig.Objects.Root));
        _rig.Mounts().Select(m => m.FileSystemType).ShouldBe(["erofs"]);
    }

    [Theory]
    [InlineData(ErofsBacking.File)]
    [InlineData(ErofsBacking.Loop)]
    public async Task Attach_InNestedOverlays_GivesEachContainerAnInnerOverlayThatWaits(ErofsBacking erofs)
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.NestedOverlay, erofs);

        RootFilesystemLayers one = roots.Attach(_rig.Tree, "one");
        RootFilesystemLayers two = roots.Attach(_rig.Tree, "two");

        (one.GateDirectory, one.ObjectsDirectory, one.TailDirectory).ShouldBe((null, null, null));
        one.ShouldBe(roots.Attach(_rig.Tree, "one"));
        two.MetadataDirectory.ShouldNotBe(one.MetadataDirectory);
        using Mounted container = Outer("c1", one);
        using ChildProcess reader = ChildProcess.Start("cat", [Path.Combine(container.Target, "etc/name")]);
        await Probe.UntilAsync(() => _rig.Gate.WaitingCount == 1, "the open waits");
        _rig.Deliver();
        (await reader.WaitAsync(Patience)).Succeeded().ShouldBe("starlight");
        Tool.Run("cat", [Path.Combine(one.MetadataDirectory, "other")]).ShouldBe("another content");
        Tool.Run("chmod", ["600", Path.Combine(container.Target, "other")]);
        File.ReadAllText(Path.Combine(_rig["c1-upper"], "other")).ShouldBe("another content");
    }

    [Fact]
    public void Attach_OfACompleteTreeInNestedOverlays_SharesOneInnerOverlayWithoutTheGate()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.NestedOverlay, earlyStart: false);
        _rig.Complete();

        RootFilesystemLayers one = roots.Attach(_rig.Tree, "one");

        roots.Attach(_rig.Tree, "two").ShouldBe(one);
        MountTable.Find(one.MetadataDirectory).ShouldNotBeNull().SuperOptions.ShouldNotContain("gate");
        _rig.Mounts().Select(m => m.FileSystemType).ShouldBe(["erofs", "overlay"]);
        using Mounted container = Outer("c1", one);
        Tool.Run("cat", [Path.Combine(container.Target, "etc/name")]).ShouldBe("starlight");
    }

    [Fact]
    public void Detach_WhenTheTreeHasBecomeComplete_TakesTheContainersOwnOverlayAway()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.NestedOverlay);
        RootFilesystemLayers early = roots.Attach(_rig.Tree, "one");
        using Mounted running = Outer("c1", early);
        _rig.Complete();
        RootFilesystemLayers late = roots.Attach(_rig.Tree, "one");
        late.MetadataDirectory.ShouldNotBe(early.MetadataDirectory);

        roots.Detach("one");
        roots.Detach("one");
        roots.Detach("never attached");

        _rig.Mounts().ShouldNotContain(m => m.MountPoint == early.MetadataDirectory);
        Directory.Exists(early.MetadataDirectory).ShouldBeFalse();
        Tool.Run("cat", [Path.Combine(running.Target, "other")]).ShouldBe("another content", "a running container keeps its own reference");
    }

    [Theory]
    [InlineData(MountMode.SingleOverlay)]
    [InlineData(MountMode.NestedOverlay)]
    public async Task Release_OfATree_LeavesNothingMounted(MountMode mode)
    {
        using OverlayRoots roots = _rig.Overlays(mode, ErofsBacking.Loop);
        roots.Attach(_rig.Tree, "one");
        roots.Attach(_rig.Tree, "two");
        _rig.Complete();
        roots.Attach(_rig.Tree, "three");

        await roots.ReleaseAsync(_rig.Tree);

        _rig.Mounts().ShouldBeEmpty();
        await Probe.UntilAsync(() => !LoopDevices().Any(f => f.StartsWith(_rig.Tree.Directory, StringComparison.Ordinal)), "the loop device is free again");
    }

    [Fact]
    public void Dispose_WithARunningContainer_UnmountsAllAndTheContainerGoesOn()
    {
        OverlayRoots roots = _rig.Overlays(MountMode.NestedOverlay);
        _rig.Deliver();
        using Mounted early = Outer("c1", roots.Attach(_rig.Tree, "one"));
        _rig.Complete();
        using Mounted late = Outer("c2", roots.Attach(_rig.Tree, "two"));

        roots.Dispose();

        _rig.Mounts().ShouldBeEmpty();
        Tool.Run("cat", [Path.Combine(early.Target, "other")]).ShouldBe("another content");
        Tool.Run("cat", [Path.Combine(late.Target, "etc/name")]).ShouldBe("starlight");
    }

    [Fact]
    public async Task Attach_InOneDirectory_GivesAWholeTreeInAnyModeAndWaitsLikeTheOther()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay);
        RootFilesystemLayers layers = roots.Attach(_rig.Tree, "one");

        RootFilesystemLayers whole = roots.Attach(_rig.Tree, "one", inOneDirectory: true);

        whole.ShouldBe(new RootFilesystemLayers(whole.MetadataDirectory, null, null));
        using ChildProcess reader = ChildProcess.Start("cat", [Path.Combine(whole.MetadataDirectory, "etc/name")]);
        await Probe.UntilAsync(() => _rig.Gate.WaitingCount == 1, "the open waits");
        _rig.Deliver();
        (await reader.WaitAsync(Patience)).Succeeded().ShouldBe("starlight");
        roots.Attach(_rig.Tree, "one").ShouldBe(layers);
        roots.Detach("one");
        _rig.Mounts().Select(m => m.FileSystemType).ShouldBe(["erofs"]);
    }

    [Fact]
    public void Attach_OfAnIncompleteTreeWithoutAGate_IsAMistake() =>
        Should.Throw<InvalidOperationException>(() => _rig.Overlays(MountMode.SingleOverlay, earlyStart: false).Attach(_rig.Tree, "one"));

    private Mounted Outer(string name, RootFilesystemLayers layers) => Mounted.On(
        _rig[name],
        (Type: "overlay", Source: "overlay", Options: ["index=off", "metacopy=off", $"lowerdir={layers.MetadataDirectory}", $"upperdir={_rig[name + "-upper"]}", $"workdir={_rig[name + "-work"]}"]));

    private static IEnumerable<string> LoopDevices() =>
        Directory.EnumerateDirectories("/sys/block", "loop*").Select(d => Path.Combine(d, "loop/backing_file")).Where(File.Exists).Select(ReadIfThere);

    private static string ReadIfThere(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return ""; // freed meanwhile
        }
    }
}
