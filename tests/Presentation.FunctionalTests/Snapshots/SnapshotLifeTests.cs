using Google.Protobuf.WellKnownTypes;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>The life of ordinary snapshots as containerd's snapshotter test suite asks for it (snapshots/testsuite), over the socket and with real mounts.</summary>
public sealed class SnapshotLifeTests : IAsyncLifetime
{
    private SnapshotterUnderTest _snapshotter = null!;

    public async Task InitializeAsync() => _snapshotter = await SnapshotterUnderTest.StartAsync();

    public async Task DisposeAsync() => await _snapshotter.DisposeAsync();

    [Fact]
    public async Task Commit_OfTwoLayers_ViewShowsBoth()
    {
        await _snapshotter.CommitLayerAsync("lower", "", "echo foo > foo; mkdir -p a/b/c");
        await _snapshotter.CommitLayerAsync("upper", "lower", "test \"$(cat foo)\" = foo; echo bar > foo; echo bar > bar; rm -r a/b");

        using (Mounted view = _snapshotter.Mount("view", await _snapshotter.ViewAsync("view", "upper")))
        {
            Tool.Bash("cat foo bar; find . -mindepth 1 | sort", view.Target).ShouldBe("bar\nbar\n./a\n./bar\n./foo\n");
        }

        (await _snapshotter.ListAsync()).Select(info => info.Name).ShouldBe(["lower", "upper", "view"], ignoreOrder: true);
        await _snapshotter.RemoveAsync("view");
        (await _snapshotter.RemoveAsync("lower").ShouldFailAsync(ErrorKind.FailedPrecondition)).Message.ShouldContain("remove");
        await _snapshotter.RemoveAsync("upper");
        await _snapshotter.RemoveAsync("lower");
        (await _snapshotter.ListAsync()).ShouldBeEmpty();
        Directory.EnumerateFileSystemEntries(Path.Combine(_snapshotter.Root, "snapshots")).ShouldBeEmpty();
    }

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
    public async Task Stat_OfEachKind_TellsKindParentLabelsAndTimes()
    {
        Timestamp before = DateTimeOffset.UtcNow.ToTimestamp();
        await _snapshotter.CommitLayerAsync("p", "", "true");
        await _snapshotter.PrepareAsync("a", "p", ("l", "1"), ("empty", ""));
        await _snapshotter.ViewAsync("v", "p");

        Info active = await _snapshotter.StatAsync("a");
        active.Name.ShouldBe("a");
        active.Kind.ShouldBe(Kind.Active);
        active.Parent.ShouldBe("p");
        active.Labels.ShouldBe(new Dictionary<string, string> { ["l"] = "1" });
        active.CreatedAt.ShouldBe(active.UpdatedAt);
        active.CreatedAt.ToDateTimeOffset().ShouldBeInRange(before.ToDateTimeOffset(), DateTimeOffset.UtcNow);
        (await _snapshotter.StatAsync("v")).Kind.ShouldBe(Kind.View);
        (await _snapshotter.StatAsync("p")).Kind.ShouldBe(Kind.Committed);
        (await _snapshotter.StatAsync("p")).Parent.ShouldBe("");
        await _snapshotter.StatAsync("p-active").ShouldFailAsync(ErrorKind.NotFound);
    }

    [Fact]
    public async Task Stat_OfAParentsParent_IsReachedLinkByLink()
    {
        await _snapshotter.CommitLayerAsync("a", "", "true");
        await _snapshotter.CommitLayerAsync("b", "a", "true");
        await _snapshotter.PrepareAsync("c", "b");

        string grandparent = (await _snapshotter.StatAsync((await _snapshotter.StatAsync("c")).Parent)).Parent;

        grandparent.ShouldBe("a");
        (await _snapshotter.StatAsync(grandparent)).Parent.ShouldBe("");
    }

    [Fact]
    public async Task Prepare_WithAKeyInUse_FailsWhoeverHasIt()
    {
        await _snapshotter.CommitLayerAsync("p", "", "true");
        await _snapshotter.PrepareAsync("active", "p");
        await _snapshotter.ViewAsync("view", "p");

        await _snapshotter.PrepareAsync("active", "p").ShouldFailAsync(ErrorKind.AlreadyExists);
        await _snapshotter.ViewAsync("active", "p").ShouldFailAsync(ErrorKind.AlreadyExists);
        await _snapshotter.ViewAsync("view", "p").ShouldFailAsync(ErrorKind.AlreadyExists);
        await _snapshotter.PrepareAsync("p").ShouldFailAsync(ErrorKind.AlreadyExists);
        Directory.EnumerateFileSystemEntries(Path.Combine(_snapshotter.Root, "snapshots")).Count().ShouldBe(3);
    }

    [Fact]
    public async Task AnyCall_WithAWrongStateOrName_FailsWithContainerdsStatus()
    {
        await _snapshotter.CommitLayerAsync("p", "", "true");
        await _snapshotter.PrepareAsync("a", "p");
        await _snapshotter.ViewAsync("v", "p");

        await _snapshotter.PrepareAsync("x", "missing").ShouldFailAsync(ErrorKind.NotFound);
        await _snapshotter.PrepareAsync("x", "a").ShouldFailAsync(ErrorKind.InvalidInput);
        await _snapshotter.ViewAsync("x", "v").ShouldFailAsync(ErrorKind.InvalidInput);
        await _snapshotter.PrepareAsync("").ShouldFailAsync(ErrorKind.InvalidInput);
        await _snapshotter.PrepareAsync("x", "p", ("k", new string('v', 4096))).ShouldFailAsync(ErrorKind.InvalidInput);
        await _snapshotter.MountsAsync("missing").ShouldFailAsync(ErrorKind.NotFound);
        await _snapshotter.MountsAsync("p").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await _snapshotter.CommitAsync("n", "missing").ShouldFailAsync(ErrorKind.NotFound);
        await _snapshotter.CommitAsync("n", "v").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await _snapshotter.CommitAsync("n", "p").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await _snapshotter.CommitAsync("p", "a").ShouldFailAsync(ErrorKind.AlreadyExists);
        await _snapshotter.RemoveAsync("missing").ShouldFailAsync(ErrorKind.NotFound);
        await _snapshotter.RemoveAsync("p").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await _snapshotter.UpdateAsync(new Info { Name = "missing" }).ShouldFailAsync(ErrorKind.NotFound);
        await _snapshotter.UsageAsync("missing").ShouldFailAsync(ErrorKind.NotFound);
        await _snapshotter.ListAsync("name=").ShouldFailAsync(ErrorKind.InvalidInput);
        (await _snapshotter.ListAsync()).Select(info => info.Name).ShouldBe(["p", "a", "v"]);
    }

    [Fact]
    public async Task Update_OfEachKind_ChangesLabelsAndNothingElse()
    {
        await _snapshotter.CommitLayerAsync("c1", "", "true");
        await _snapshotter.CommitLayerAsync("c2", "c1", "true");
        await _snapshotter.PrepareAsync("a1", "c2");
        await _snapshotter.ViewAsync("v1", "c2");

        foreach (string name in (string[])["c1", "c2", "a1", "v1"])
        {
            Info before = await _snapshotter.StatAsync(name);
            Info asked = new() { Name = name, Parent = "doesnotexist", Kind = Kind.Unknown, Labels = { ["l1"] = "v1", ["l2"] = "v2", ["l3"] = "v3" } };

            Info all = await _snapshotter.UpdateAsync(asked);
            all.Labels.ShouldBe(asked.Labels);
            all.CreatedAt.ShouldBe(before.CreatedAt);
            all.UpdatedAt.ToDateTimeOffset().ShouldBeGreaterThan(before.UpdatedAt.ToDateTimeOffset());
            all.Kind.ShouldBe(before.Kind);
            all.Parent.ShouldBe(before.Parent);

            Info some = await _snapshotter.UpdateAsync(new Info { Name = name, Labels = { ["l1"] = "updated", ["l4"] = "v4" } }, "labels.l1", "labels.l2");
            some.Labels.ShouldBe(new Dictionary<string, string> { ["l1"] = "updated", ["l3"] = "v3" }, ignoreOrder: true);
            await _snapshotter.UpdateAsync(new Info { Name = name, Parent = "doesnotexist" }, "parent").ShouldFailAsync(ErrorKind.InvalidInput);
            (await _snapshotter.StatAsync(name)).ShouldBe(some);
        }
    }

    [Fact]
    public async Task Remove_FreesTheKeyForAnyKind()
    {
        await _snapshotter.PrepareAsync("committed-a");
        await _snapshotter.CommitAsync("committed", "committed-a");
        await _snapshotter.PrepareAsync("reused", "committed");
        await _snapshotter.RemoveAsync("reused");
        await _snapshotter.ViewAsync("reused", "committed");
        await _snapshotter.RemoveAsync("reused");
        await _snapshotter.PrepareAsync("reused");
        await _snapshotter.RemoveAsync("committed");
        await _snapshotter.CommitAsync("committed", "reused");

        (await _snapshotter.ListAsync()).Select(info => info.Name).ShouldBe(["committed"]);
    }

    [Fact]
    public async Task Remove_OfAnIntermediateLayer_FailsUntilNothingStandsOnIt()
    {
        await _snapshotter.CommitLayerAsync("base", "", "true");
        await _snapshotter.CommitLayerAsync("middle", "base", "true");
        await _snapshotter.PrepareAsync("top", "middle");

        await _snapshotter.RemoveAsync("middle").ShouldFailAsync(ErrorKind.FailedPrecondition);
        await _snapshotter.RemoveAsync("top");
        await _snapshotter.RemoveAsync("middle");
        await _snapshotter.RemoveAsync("base");
    }

    [Theory]
    [InlineData("labels.\"containerd.io/gc.root\"==check", "a-np p a v p-wl a-wl v-wl")]
    [InlineData("kind==active", "a-np a a-wl")]
    [InlineData("kind==view,labels.l", "v-wl")]
    [InlineData("name==p|name==a-wl", "p a-wl")]
    [InlineData("parent==p", "a v")]
    [InlineData("parent!=\"\"", "a v a-wl v-wl")]
    [InlineData("labels.l==2", "a-wl")]
    public async Task List_WithFilters_SelectsByThem(string filters, string expected)
    {
        var root = ("containerd.io/gc.root", "check");
        await _snapshotter.PrepareAsync("a-np", "", root);
        await _snapshotter.PrepareAsync("p-tmp", "", root);
        await _snapshotter.CommitAsync("p", "p-tmp", root);
        await _snapshotter.PrepareAsync("a", "p", root);
        await _snapshotter.ViewAsync("v", "p", root);
        await _snapshotter.PrepareAsync("p-wl-tmp", "", root);
        await _snapshotter.CommitAsync("p-wl", "p-wl-tmp", root, ("l", "1"));
        await _snapshotter.PrepareAsync("a-wl", "p-wl", root, ("l", "2"));
        await _snapshotter.ViewAsync("v-wl", "p-wl", root, ("l", "3"));

        (await _snapshotter.ListAsync(filters.Split('|'))).Select(info => info.Name).ShouldBe(expected.Split(' '), ignoreOrder: true);
    }

    [Fact]
    public async Task List_OfMoreThanOneBlock_LosesNoneAndAllowsStatMeanwhile()
    {
        for (int i = 0; i < 250; i++)
        {
            await _snapshotter.PrepareAsync($"k{i}");
        }

        IReadOnlyList<Info> all = await _snapshotter.ListAsync();

        all.Count.ShouldBe(250);
        foreach (Info info in all.Take(10))
        {
            (await _snapshotter.StatAsync(info.Name)).ShouldBe(info);
        }
    }

    [Fact]
    public async Task Usage_CountsBlocksAndHardLinkedInodesOnce()
    {
        await _snapshotter.CommitLayerAsync("p", "", "head -c 100000 /dev/urandom > f; ln f g; truncate -s 1G sparse; mkdir d; sync f");
        await _snapshotter.ViewAsync("v", "p");
        using Mounted mounted = _snapshotter.Mount("a", await _snapshotter.PrepareAsync("a", "p"));
        UsageResponse empty = await _snapshotter.UsageAsync("a");
        await File.WriteAllTextAsync(Path.Combine(mounted.Target, "new"), "x");

        UsageResponse committed = await _snapshotter.UsageAsync("p");
        committed.Inodes.ShouldBe(4); // root, f = g, sparse, d
        committed.Size.ShouldBeInRange(100000, 130000);
        empty.Inodes.ShouldBe(1);
        (await _snapshotter.UsageAsync("a")).Inodes.ShouldBe(2);
        (await _snapshotter.UsageAsync("v")).Inodes.ShouldBe(0);
    }
}
