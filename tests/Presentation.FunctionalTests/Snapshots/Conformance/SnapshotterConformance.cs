using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots.Conformance;

/// <summary>
/// What containerd's public suite asks of every snapshotter (containerd core/snapshots/testsuite), over a socket and with real mounts. This file: the life of snapshots;
/// <c>.Labels</c>: labels and lists; <c>.Files</c>: what layers show; <c>.Statuses</c>: how each method fails.
/// </summary>
public abstract partial class SnapshotterConformance : IAsyncLifetime
{
    private ConformanceTarget _target = null!;

    protected SnapshotsClient Snapshots => _target.Snapshots;

    public async Task InitializeAsync() => _target = await StartAsync();

    public async Task DisposeAsync() => await _target.DisposeAsync();

    protected abstract Task<ConformanceTarget> StartAsync();

    protected Task CommitLowestAsync(string name, string script) => _target.CommitLowestAsync(name, script);

    [Fact]
    public async Task Basic_TwoLayersAndAView_ShowTheirFilesAndAreListedAsStated()
    {
        await _target.CommitLowestAsync("lower", "echo foo > foo; mkdir -p a/b/c");
        Info lower = await Snapshots.StatAsync("lower");
        lower.Kind.ShouldBe(Kind.Committed);
        lower.Parent.ShouldBe("");
        using (Mounted next = Snapshots.Mount("next", await Snapshots.PrepareAsync("next", "lower")))
        {
            Tool.Bash("cat foo; find . -mindepth 1 | sort; echo bar > foo; echo bar > bar; rm -r a/b", next.Target).ShouldBe("foo\n./a\n./a/b\n./a/b/c\n./foo\n");
        }

        Info active = await Snapshots.StatAsync("next");
        (active.Kind, active.Parent).ShouldBe((Kind.Active, "lower"));
        await Snapshots.CommitAsync("upper", "next");
        Info upper = await Snapshots.StatAsync("upper");
        (upper.Kind, upper.Parent).ShouldBe((Kind.Committed, "lower"));
        await Snapshots.StatAsync("next").ShouldFailAsync(ErrorKind.NotFound);
        (await Snapshots.ListAsync()).ShouldBe([lower, upper], ignoreOrder: true);

        using (Mounted view = Snapshots.Mount("view", await Snapshots.ViewAsync("view", "upper")))
        {
            Tool.Bash("cat foo bar; find . -mindepth 1 | sort", view.Target).ShouldBe("bar\nbar\n./a\n./bar\n./foo\n");
        }

        await Snapshots.RemoveAsync("view");
        (await Snapshots.RemoveAsync("lower").ShouldFailAsync(ErrorKind.FailedPrecondition)).Message.ShouldContain("remove");
        await Snapshots.RemoveAsync("upper");
        await Snapshots.RemoveAsync("lower");
        (await Snapshots.ListAsync()).ShouldBeEmpty();
        await NothingIsLeftAsync();
    }

    [Fact]
    public async Task Stat_OfEachKind_TellsKindParentAndTimes()
    {
        DateTimeOffset before = DateTimeOffset.UtcNow;
        await _target.CommitLowestAsync("p", "true");
        await Snapshots.PrepareAsync("a", "p");
        await Snapshots.ViewAsync("v", "p");
        await Snapshots.PrepareAsync("a-np");
        await Snapshots.ViewAsync("v-np");

        foreach ((string name, Kind kind, string parent) in new[] { ("p", Kind.Committed, ""), ("a", Kind.Active, "p"), ("v", Kind.View, "p"), ("a-np", Kind.Active, ""), ("v-np", Kind.View, "") })
        {
            Info info = await Snapshots.StatAsync(name);
            (info.Name, info.Kind, info.Parent).ShouldBe((name, kind, parent));
            info.CreatedAt.ToDateTimeOffset().ShouldBeInRange(before, DateTimeOffset.UtcNow);
            info.UpdatedAt.ShouldBe(info.CreatedAt, name);
        }
    }

    [Fact]
    public async Task Stat_OfAParentsParent_IsReachedLinkByLink()
    {
        await _target.CommitLowestAsync("a", "echo foo > foo");
        await Snapshots.CommitLayerAsync("b", "a", "echo bar >> foo");

        Info b = await Snapshots.StatAsync("b");

        b.Parent.ShouldBe("a");
        (await Snapshots.StatAsync(b.Parent)).Parent.ShouldBe("");
    }

    [Fact]
    public async Task PrepareAndView_WithAKeyInUse_FailAndChangeNothing()
    {
        await _target.CommitLowestAsync("p", "true");
        await Snapshots.PrepareAsync("active", "p");
        await Snapshots.ViewAsync("view", "p");
        Info[] before = [.. await Snapshots.ListAsync()];

        await Snapshots.PrepareAsync("active", "p").ShouldFailAsync(ErrorKind.AlreadyExists);
        await Snapshots.ViewAsync("active", "p").ShouldFailAsync(ErrorKind.AlreadyExists);
        await Snapshots.ViewAsync("view", "p").ShouldFailAsync(ErrorKind.AlreadyExists);
        await Snapshots.PrepareAsync("view").ShouldFailAsync(ErrorKind.AlreadyExists);
        await Snapshots.PrepareAsync("p").ShouldFailAsync(ErrorKind.AlreadyExists);
        (await Snapshots.ListAsync()).ShouldBe(before, ignoreOrder: true);
    }

    [Fact]
    public async Task Remove_FreesTheKeyForAnyKind()
    {
        await _target.CommitLowestAsync("committed", "true");
        await Snapshots.PrepareAsync("reused", "committed");
        await Snapshots.RemoveAsync("reused");
        await Snapshots.ViewAsync("reused", "committed");
        await Snapshots.RemoveAsync("reused");
        await Snapshots.PrepareAsync("reused");
        await Snapshots.RemoveAsync("committed");
        await Snapshots.CommitAsync("committed", "reused");

        (await Snapshots.ListAsync()).Select(info => info.Name).ShouldBe(["committed"]);
    }

    [Fact]
    public async Task Remove_OfAnIntermediateLayer_FailsUntilNothingStandsOnIt()
    {
        await _target.CommitLowestAsync("base", "true");
        await Snapshots.CommitLayerAsync("middle", "base", "true");
        await Snapshots.PrepareAsync("top", "middle");

        await Snapshots.RemoveAsync("middle").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await Snapshots.RemoveAsync("base").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await Snapshots.RemoveAsync("top");
        await Snapshots.RemoveAsync("middle");
        await Snapshots.RemoveAsync("base");
        await NothingIsLeftAsync();
    }

    [Fact]
    public async Task Remove_OfAViewWithoutParent_LeavesNothing()
    {
        await Snapshots.ViewAsync("v");
        using (Mounted view = Snapshots.Mount("view", await Snapshots.MountsAsync("v")))
        {
            Directory.EnumerateFileSystemEntries(view.Target).ShouldBeEmpty();
            Should.Throw<IOException>(() => File.WriteAllText(Path.Combine(view.Target, "testfile"), "x")).Message.ShouldContain("Read-only");
        }

        await Snapshots.RemoveAsync("v");

        await NothingIsLeftAsync();
    }

    [Fact]
    public async Task Mounts_AskedForAgain_AreThoseOfPrepareAndView()
    {
        await _target.CommitLowestAsync("p", "true");
        await Snapshots.CommitLayerAsync("q", "p", "true");

        foreach (string parent in (string[])["", "p", "q"])
        {
            var prepared = await Snapshots.PrepareAsync($"a{parent}", parent);
            prepared.ShouldNotBeEmpty();
            (await Snapshots.MountsAsync($"a{parent}")).ShouldBe(prepared);
            var viewed = await Snapshots.ViewAsync($"v{parent}", parent);
            viewed.ShouldNotBeEmpty();
            (await Snapshots.MountsAsync($"v{parent}")).ShouldBe(viewed);
        }
    }

    [Fact]
    public async Task Usage_OfEachKind_CountsWhatTheSnapshotItselfTakes()
    {
        const int content = 100_000;
        await _target.CommitLowestAsync("p", "true");
        await Snapshots.CommitLayerAsync("q", "p", $"head -c {content} /dev/urandom > f; ln f g; truncate -s 1G sparse; mkdir d; sync f");
        await Snapshots.ViewAsync("v", "q");
        using Mounted mounted = Snapshots.Mount("a", await Snapshots.PrepareAsync("a", "q"));
        UsageResponse empty = await Snapshots.UsageAsync("a");
        await File.WriteAllTextAsync(Path.Combine(mounted.Target, "new"), "x");

        UsageResponse committed = await Snapshots.UsageAsync("q");
        committed.Inodes.ShouldBe(4); // root, f = g, sparse, d
        committed.Size.ShouldBeInRange(content, content + 30_000);
        empty.Inodes.ShouldBe(1);
        (await Snapshots.UsageAsync("a")).Inodes.ShouldBe(2);
        (await Snapshots.UsageAsync("v")).ShouldBe(new UsageResponse());
    }

    [Fact]
    public async Task Close_Twice_KeepsEverything()
    {
        await Snapshots.PrepareAsync("prepared");
        await Snapshots.CommitAsync("removed", "prepared");
        await Snapshots.RemoveAsync("removed");
        await _target.CommitLowestAsync("p", "echo x > x");
        var mounts = await Snapshots.PrepareAsync("a", "p", ("l", "1"));
        Info[] before = [.. await Snapshots.ListAsync()];

        await _target.CloseTwiceAndReopenAsync();

        (await Snapshots.ListAsync()).ShouldBe(before, ignoreOrder: true);
        (await Snapshots.MountsAsync("a")).ShouldBe(mounts);
        using Mounted mounted = Snapshots.Mount("a", mounts);
        Tool.Bash("cat x", mounted.Target).ShouldBe("x\n");
    }

    [Fact]
    public async Task PrepareMountsCommitRemove_100InParallel_AllSucceed()
    {
        await _target.CommitLowestAsync("p", "echo x > f");

        await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
        {
            var prepared = await Snapshots.PrepareAsync($"k{i}", "p");
            (await Snapshots.MountsAsync($"k{i}")).ShouldBe(prepared);
            await Snapshots.CommitAsync($"n{i}", $"k{i}");
            await Snapshots.ViewAsync($"v{i}", $"n{i}");
            await Snapshots.RemoveAsync($"v{i}");
            await Snapshots.RemoveAsync($"n{i}");
        }));

        (await Snapshots.ListAsync()).Select(info => info.Name).ShouldBe(["p"]);
        await Snapshots.RemoveAsync("p");
        await NothingIsLeftAsync();
    }

    private async Task NothingIsLeftAsync()
    {
        await _target.CollectAsync();
        await Probe.UntilAsync(() => !Directory.EnumerateFileSystemEntries(_target.Directories).Any(), $"{_target.Directories} is empty");
    }
}
