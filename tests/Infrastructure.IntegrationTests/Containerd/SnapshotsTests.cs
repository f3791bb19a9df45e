using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Containerd.Protocol.Types;

namespace Starlight.Infrastructure.IntegrationTests.Containerd;

/// <summary>Our client against containerd's overlayfs snapshotter.</summary>
[Collection(nameof(ContainerdCollection))]
public sealed class SnapshotsTests(ContainerdFixture containerd)
{
    private const string Overlayfs = "overlayfs";

    [Fact]
    public async Task Snapshot_WhenPreparedAndCommitted_CanBeViewedAndRemoved()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        await using ContainerdLease lease = await client.BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);

        // 1. An active snapshot with something in it.
        IReadOnlyList<Mount> mounts = await lease.PrepareAsync(Overlayfs, "work", null, Blob.NoLabels, CancellationToken.None);
        Mount bind = mounts.ShouldHaveSingleItem();
        bind.Type.ShouldBe("bind");
        await File.WriteAllBytesAsync(Path.Combine(bind.Source, "file"), new byte[100_000]);
        (await client.StatAsync(Overlayfs, "work", CancellationToken.None))!.Kind.ShouldBe(Kind.Active);

        // 2. Committed under its chain ID, with a label.
        await lease.CommitAsync(Overlayfs, "sha256:chain", "work", new Dictionary<string, string> { ["a"] = "1" }, CancellationToken.None);
        Info committed = (await client.StatAsync(Overlayfs, "sha256:chain", CancellationToken.None))!;
        committed.Kind.ShouldBe(Kind.Committed);
        committed.Labels["a"].ShouldBe("1");
        (await client.StatAsync(Overlayfs, "work", CancellationToken.None)).ShouldBeNull();
        (await client.UsageAsync(Overlayfs, "sha256:chain", CancellationToken.None)).Size.ShouldBeGreaterThanOrEqualTo(100_000);

        // 3. A container's snapshot and a view on top.
        await lease.PrepareAsync(Overlayfs, "container", "sha256:chain", Blob.NoLabels, CancellationToken.None);
        (await client.MountsAsync(Overlayfs, "container", CancellationToken.None)).ShouldHaveSingleItem().Type.ShouldBe("overlay");
        (await lease.ViewAsync(Overlayfs, "view", "sha256:chain", Blob.NoLabels, CancellationToken.None)).ShouldHaveSingleItem().Options.ShouldContain("ro");
        (await client.ListAsync(Overlayfs, [], CancellationToken.None).ToListAsync()).Select(i => i.Name).ShouldBe(["container", "sha256:chain", "view"], ignoreOrder: true);
        (await client.ListAsync(Overlayfs, ["kind==view"], CancellationToken.None).ToListAsync()).ShouldHaveSingleItem().Parent.ShouldBe("sha256:chain");

        // 4. A parent stays while it has children.
        (await FailureAsync(() => client.RemoveAsync(Overlayfs, "sha256:chain", CancellationToken.None))).Kind.ShouldBe(ErrorKind.FailedPrecondition);
        await client.RemoveAsync(Overlayfs, "view", CancellationToken.None);
        await client.RemoveAsync(Overlayfs, "container", CancellationToken.None);
        await client.RemoveAsync(Overlayfs, "sha256:chain", CancellationToken.None);
        (await FailureAsync(() => client.RemoveAsync(Overlayfs, "sha256:chain", CancellationToken.None))).Kind.ShouldBe(ErrorKind.NotFound);
    }

    [Fact]
    public async Task Prepare_WhenTheKeyExists_IsAlreadyExists()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        await client.PrepareAsync(Overlayfs, "twice", null, Blob.NoLabels, CancellationToken.None);

        (await FailureAsync(() => client.PrepareAsync(Overlayfs, "twice", null, Blob.NoLabels, CancellationToken.None))).Kind.ShouldBe(ErrorKind.AlreadyExists);
    }

    [Fact]
    public async Task PrepareRemoteSnapshot_WhenTheSnapshotterCannot_IsFalseAndLeavesNothing()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();

        bool provided = await client.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Overlayfs, "sha256:remote", null, Blob.NoLabels), CancellationToken.None);

        provided.ShouldBeFalse();
        (await client.ListAsync(Overlayfs, [], CancellationToken.None).ToListAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task PrepareRemoteSnapshot_WhenTheParentIsMissing_IsNotFound()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();

        (await FailureAsync(() => client.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Overlayfs, "sha256:b", "sha256:a", Blob.NoLabels), CancellationToken.None)))
            .Kind.ShouldBe(ErrorKind.NotFound);
    }

    [Fact]
    public async Task Stat_WhenTheSnapshotterIsUnknown_Fails() =>
        (await FailureAsync(async () => await containerd.Runtime.Namespace("x").PrepareAsync("nosuch", "k", null, Blob.NoLabels, CancellationToken.None)))
            .Kind.ShouldBe(ErrorKind.InvalidInput);

    private static async Task<Error> FailureAsync(Func<Task> call) => (await Should.ThrowAsync<FailureException>(call)).Error;
}
