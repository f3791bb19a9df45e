using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;

namespace Starlight.Presentation.FunctionalTests.Snapshots.Conformance;

/// <content>The status each method fails with, which containerd and its clients act upon.</content>
public abstract partial class SnapshotterConformance
{
    [Fact]
    public Task Prepare_ThatCannotBe_FailsWithContainerdsStatus() => ShouldChangeNothingAsync(async () =>
    {
        await Snapshots.PrepareAsync("x", "missing").ShouldFailAsync(ErrorKind.NotFound);
        await Snapshots.PrepareAsync("x", "a").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.PrepareAsync("x", "v").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.PrepareAsync("a", "p").ShouldFailAsync(ErrorKind.AlreadyExists);
        await Snapshots.PrepareAsync("x", "p", ("k", new string('v', 4096))).ShouldFailAsync(ErrorKind.InvalidInput);
    });

    [Fact]
    public Task View_ThatCannotBe_FailsWithContainerdsStatus() => ShouldChangeNothingAsync(async () =>
    {
        await Snapshots.ViewAsync("x", "missing").ShouldFailAsync(ErrorKind.NotFound);
        await Snapshots.ViewAsync("x", "a").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.ViewAsync("x", "v").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.ViewAsync("v", "p").ShouldFailAsync(ErrorKind.AlreadyExists);
        await Snapshots.ViewAsync("x", "p", ("k", new string('v', 4096))).ShouldFailAsync(ErrorKind.InvalidInput);
    });

    [Fact]
    public Task Mounts_ThatCannotBe_FailsWithContainerdsStatus() => ShouldChangeNothingAsync(async () =>
    {
        await Snapshots.MountsAsync("missing").ShouldFailAsync(ErrorKind.NotFound);
        await Snapshots.MountsAsync("p").ShouldFailAsync(ErrorKind.FailedPrecondition);
    });

    [Fact]
    public Task Commit_ThatCannotBe_FailsWithContainerdsStatus() => ShouldChangeNothingAsync(async () =>
    {
        await Snapshots.CommitAsync("n", "missing").ShouldFailAsync(ErrorKind.NotFound);
        await Snapshots.CommitAsync("n", "v").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await Snapshots.CommitAsync("n", "p").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await Snapshots.CommitAsync("p", "a").ShouldFailAsync(ErrorKind.AlreadyExists);
        await Snapshots.CommitAsync("v", "a").ShouldFailAsync(ErrorKind.AlreadyExists);
        await Snapshots.CommitAsync("n", "a", ("k", new string('v', 4096))).ShouldFailAsync(ErrorKind.InvalidInput);
    });

    [Fact]
    public Task Remove_ThatCannotBe_FailsWithContainerdsStatus() => ShouldChangeNothingAsync(async () =>
    {
        await Snapshots.RemoveAsync("missing").ShouldFailAsync(ErrorKind.NotFound);
        await Snapshots.RemoveAsync("p").ShouldFailAsync(ErrorKind.FailedPrecondition);
    });

    [Fact]
    public Task StatUpdateAndUsage_ThatCannotBe_FailWithContainerdsStatus() => ShouldChangeNothingAsync(async () =>
    {
        await Snapshots.StatAsync("missing").ShouldFailAsync(ErrorKind.NotFound);
        await Snapshots.UpdateAsync(new Info { Name = "missing" }).ShouldFailAsync(ErrorKind.NotFound);
        await Snapshots.UpdateAsync(new Info { Name = "a", Kind = Kind.View }, "kind").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.UpdateAsync(new Info { Name = "a", Labels = { ["k"] = new string('v', 4096) } }, "labels.k").ShouldFailAsync(ErrorKind.InvalidInput);
        await Snapshots.UsageAsync("missing").ShouldFailAsync(ErrorKind.NotFound);
    });

    /// <summary>Runs what must fail beside a committed <c>p</c>, an active <c>a</c> and a view <c>v</c> on it.</summary>
    protected async Task ShouldChangeNothingAsync(Func<Task> failures)
    {
        await _target.CommitLowestAsync("p", "true");
        await Snapshots.PrepareAsync("a", "p");
        await Snapshots.ViewAsync("v", "p");
        Info[] before = [.. await Snapshots.ListAsync()];

        await failures();

        (await Snapshots.ListAsync()).ShouldBe(before, ignoreOrder: true);
    }
}
