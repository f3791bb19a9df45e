using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>Many at once, and after a crash; more of both is in <see cref="Conformance.SnapshotterConformance"/>.</summary>
public sealed class SnapshotLoadTests : IAsyncLifetime
{
    private SnapshotterUnderTest _snapshotter = null!;

    public async Task InitializeAsync() => _snapshotter = await SnapshotterUnderTest.StartAsync();

    public async Task DisposeAsync() => await _snapshotter.DisposeAsync();

    [Fact]
    public async Task Prepare_OfOneKeyByManyAtOnce_SucceedsOnce()
    {
        bool[] outcomes = await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
        {
            try
            {
                await _snapshotter.PrepareAsync("k");
                return true;
            }
            catch (FailureException failure) when (failure.Error.Kind == ErrorKind.AlreadyExists)
            {
                return false;
            }
        }));

        outcomes.Count(succeeded => succeeded).ShouldBe(1);
    }

    [Fact]
    public async Task Restart_KeepsSnapshotsMountsAndNumbers()
    {
        await _snapshotter.CommitLayerAsync("p", "", "echo x > f");
        var mounts = await _snapshotter.PrepareAsync("a", "p", ("l", "1"));
        Info before = await _snapshotter.StatAsync("a");
        await _snapshotter.PrepareAsync("last");
        await _snapshotter.RemoveAsync("last");

        await _snapshotter.RestartAsync();

        (await _snapshotter.StatAsync("a")).ShouldBe(before);
        (await _snapshotter.MountsAsync("a")).ShouldBe(mounts);
        (await _snapshotter.PrepareAsync("next"))[0].Source.ShouldEndWith("/snapshots/4/fs"); // 3 was "last"
    }

    [Fact]
    public async Task Cleanup_DeletesLeftoversAndNothingElse()
    {
        await _snapshotter.PrepareAsync("a");
        string directory = Path.Combine(_snapshotter.Root, "snapshots");
        Tool.Bash("mkdir -p new-abc/fs 77/fs/d old-x; echo x > 77/fs/d/f; touch stray", directory);

        await _snapshotter.CleanupAsync();

        Directory.EnumerateFileSystemEntries(directory).Select(Path.GetFileName).ShouldBe(["1"]);
    }

    [Fact]
    public async Task Restart_DeletesLeftoversByItself()
    {
        string directory = Path.Combine(_snapshotter.Root, "snapshots");
        Tool.Bash("mkdir -p new-abc/fs", directory);

        await _snapshotter.RestartAsync();

        await Task.Run(async () =>
        {
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            while (Directory.EnumerateFileSystemEntries(directory).Any())
            {
                await Task.Delay(10, deadline.Token);
            }
        });
    }

    [Fact]
    public async Task Prepare_OntoADirectoryACrashLeft_ReplacesIt()
    {
        Tool.Bash("mkdir -p 1/fs; echo stale > 1/fs/stale", Path.Combine(_snapshotter.Root, "snapshots"));

        string contents = (await _snapshotter.PrepareAsync("a"))[0].Source;

        Directory.EnumerateFileSystemEntries(contents).ShouldBeEmpty();
    }
}
