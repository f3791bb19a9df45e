using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots.Conformance;

/// <summary>What can be asked of the snapshotter's own socket only: containerd 1.6 forwards no Cleanup and answers some mistakes itself.</summary>
public abstract class OwnSocketConformance : SnapshotterConformance
{
    [Fact]
    public async Task Cleanup_TakesNothingThatIsInUse()
    {
        await CommitLowestAsync("p", "echo x > x");
        using Mounted mounted = Snapshots.Mount("a", await Snapshots.PrepareAsync("a", "p"));
        await Snapshots.ViewAsync("v", "p");
        Info[] before = [.. await Snapshots.ListAsync()];

        await Snapshots.CleanupAsync();

        (await Snapshots.ListAsync()).ShouldBe(before, ignoreOrder: true);
        Tool.Bash("cat x; echo y > y; cat y", mounted.Target).ShouldBe("x\ny\n");
    }

    [Fact]
    public Task AnyCall_WithoutANameOrWithAMalformedFilter_IsRefused() => ShouldChangeNothingAsync(async () =>
    {
        await Snapshots.PrepareAsync("").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.ViewAsync("").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.MountsAsync("").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.CommitAsync("", "a").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.CommitAsync("n", "").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.RemoveAsync("").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.StatAsync("").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.UpdateAsync(new Info()).ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.UsageAsync("").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.ListAsync("name=").ShouldFailAsync(ErrorKind.InvalidInput);
    });
}

/// <summary>Ordinary layers, over the snapshotter's socket.</summary>
public sealed class OrdinaryLayersConformanceTests : OwnSocketConformance
{
    protected override async Task<ConformanceTarget> StartAsync() => new OwnSocket(await SnapshotterUnderTest.StartAsync());
}

/// <summary>Layers on top of a Starlight image, over the snapshotter's socket.</summary>
public sealed class ProvidedLayersConformanceTests : OwnSocketConformance
{
    protected override async Task<ConformanceTarget> StartAsync() => new ProvidedLowest(await SnapshotterUnderTest.StartAsync());
}

/// <summary>Through a real containerd, which keeps records of its own and gives every snapshot another name.</summary>
public sealed class ThroughContainerdConformanceTests : SnapshotterConformance
{
    protected override Task<ConformanceTarget> StartAsync() => ContainerdSocket.StartAsync(isOverlayfs: false);
}

/// <summary>containerd's own overlayfs snapshotter: shows that the conformance tests demand what containerd does, not what Starlight does.</summary>
public sealed class OverlayfsConformanceTests : SnapshotterConformance
{
    protected override Task<ConformanceTarget> StartAsync() => ContainerdSocket.StartAsync(isOverlayfs: true);
}
