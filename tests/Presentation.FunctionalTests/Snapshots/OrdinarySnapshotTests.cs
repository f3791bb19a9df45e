using Starlight.Infrastructure.Containerd.Protocol.Snapshots;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>Ordinary snapshots, beyond what every snapshotter must do (<see cref="Conformance.SnapshotterConformance"/>): the very mounts and labels of containerd's overlayfs.</summary>
public sealed class OrdinarySnapshotTests : IAsyncLifetime
{
    private SnapshotterUnderTest _snapshotter = null!;

    public async Task InitializeAsync() => _snapshotter = await SnapshotterUnderTest.StartAsync();

    public async Task DisposeAsync() => await _snapshotter.DisposeAsync();

    [Fact]
    public async Task Prepare_WithoutParent_AnswersAWritableBindMountOfAnEmptyDirectory()
    {
        var mounts = await _snapshotter.PrepareAsync("k");

        mounts.Count.ShouldBe(1);
        mounts[0].Type.ShouldBe("bind");
        mounts[0].Source.ShouldBe(Path.Combine(_snapshotter.Root, "snapshots", "1", "fs"));
        mounts[0].Options.ShouldBe(["rw", "rbind"]);
        (await _snapshotter.MountsAsync("k")).ShouldBe(mounts);
        (await _snapshotter.ViewAsync("v"))[0].Options.ShouldBe(["ro", "rbind"]);
    }

    [Fact]
    public async Task Prepare_OnLayers_AnswersTheOverlayfsSnapshottersOptions()
    {
        await _snapshotter.CommitLayerAsync("a", "", "true");
        await _snapshotter.CommitLayerAsync("b", "a", "true");
        string home = Path.Combine(_snapshotter.Root, "snapshots");

        var active = (await _snapshotter.PrepareAsync("active", "b")).Single();
        var view = (await _snapshotter.ViewAsync("view", "b")).Single();
        var single = (await _snapshotter.ViewAsync("single", "a")).Single();

        active.Type.ShouldBe("overlay");
        active.Source.ShouldBe("overlay");
        active.Options.ShouldBe(["index=off", $"workdir={home}/3/work", $"upperdir={home}/3/fs", $"lowerdir={home}/2/fs:{home}/1/fs"]);
        view.Type.ShouldBe("overlay");
        view.Options.ShouldBe(["index=off", $"lowerdir={home}/2/fs:{home}/1/fs"]);
        single.Type.ShouldBe("bind");
        single.Source.ShouldBe($"{home}/1/fs");
        single.Options.ShouldBe(["ro", "rbind"]);
    }

    [Fact]
    public async Task Prepare_WithAnEmptyLabel_DoesNotKeepIt()
    {
        await _snapshotter.PrepareAsync("a", "", ("l", "1"), ("empty", ""));

        Info active = await _snapshotter.StatAsync("a");

        active.Labels.ShouldBe(new Dictionary<string, string> { ["l"] = "1" });
    }
}
