using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>Images whose pull containerd gave up before their top layer was committed.</summary>
public sealed class ReclaimTests : IAsyncLifetime
{
    private const string Reference = "containerd.io/snapshot.ref";
    private const string Top = "sha256:top";

    private SnapshotterUnderTest _snapshotter = null!;

    public async Task InitializeAsync()
    {
        _snapshotter = await SnapshotterUnderTest.StartAsync();
        _snapshotter.Images.Chains[Top] = new RootFilesystemLayers("/nonexistent", null, null);
        _snapshotter.Images.Quiet = [Top];
    }

    public async Task DisposeAsync() => await _snapshotter.DisposeAsync();

    [Fact]
    public async Task Reclaim_OfAnImageWithoutASnapshot_ReleasesIt()
    {
        await _snapshotter.Service.ReclaimAsync(TimeSpan.Zero, default);

        _snapshotter.Images.Released.ShouldBe([Top]);
    }

    [Fact]
    public async Task Reclaim_OfAnImageWhoseTopLayerIsCommitted_LeavesIt()
    {
        await _snapshotter.PrepareAsync("k", "", (Reference, Top)).ShouldFailAsync(ErrorKind.AlreadyExists);

        await _snapshotter.Service.ReclaimAsync(TimeSpan.Zero, default);

        _snapshotter.Images.Released.ShouldBeEmpty();
    }

    [Fact]
    public async Task Reclaim_WhileTheTopLayerIsBeingCommitted_LeavesIt()
    {
        _snapshotter.Images.OnRelease = chain => _snapshotter.Service.IsProvided(chain).ShouldBeFalse("what a snapshot stands for is not released");
        Task[] races = [.. Enumerable.Range(0, 20).Select(i => i % 2 == 0
            ? (Task)_snapshotter.PrepareAsync($"k{i}", "", (Reference, Top)).ShouldFailAsync(ErrorKind.AlreadyExists)
            : _snapshotter.Service.ReclaimAsync(TimeSpan.Zero, default))];
        await Task.WhenAll(races);
        int released = _snapshotter.Images.Released.Count;

        await _snapshotter.Service.ReclaimAsync(TimeSpan.Zero, default);

        _snapshotter.Images.Released.Count.ShouldBe(released, "the layer is committed by now");
        (await _snapshotter.ListAsync()).ShouldHaveSingleItem();
    }
}
