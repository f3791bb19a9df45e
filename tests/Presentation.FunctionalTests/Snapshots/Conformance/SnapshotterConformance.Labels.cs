using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;

namespace Starlight.Presentation.FunctionalTests.Snapshots.Conformance;

/// <content>Labels and lists.</content>
public abstract partial class SnapshotterConformance
{
    [Fact]
    public async Task Update_WithEachFieldMask_ChangesTheseLabelsAndTheTimeOnly()
    {
        await CommitTwoLayersWithUsersAsync();
        foreach (string name in (string[])["c1", "c2", "a1", "a2", "v1", "v2"])
        {
            Info before = await Snapshots.StatAsync(name);
            Info asked = new() { Name = name, Parent = "doesnotexist", Kind = Kind.Unknown, Labels = { ["l1"] = "v1", ["l2"] = "v2", ["l3"] = "v3", [ConformanceTarget.Root.Key] = "kept" } };
            DateTimeOffset asking = DateTimeOffset.UtcNow;

            Info all = await Snapshots.UpdateAsync(asked);
            LabelsOf(all).ShouldBe("l1=v1 l2=v2 l3=v3");
            (all.Name, all.Kind, all.Parent, all.CreatedAt).ShouldBe((name, before.Kind, before.Parent, before.CreatedAt));
            all.UpdatedAt.ToDateTimeOffset().ShouldBeInRange(asking, DateTimeOffset.UtcNow);

            Info some = await Snapshots.UpdateAsync(new Info { Name = name, Labels = { ["l1"] = "updated", ["l4"] = "v4" } }, "labels.l1", "labels.l2");
            LabelsOf(some).ShouldBe("l1=updated l3=v3");
            some.Labels[ConformanceTarget.Root.Key].ShouldBe("kept");

            Info replaced = await Snapshots.UpdateAsync(new Info { Name = name, Labels = { ["l4"] = "v4", [ConformanceTarget.Root.Key] = "kept" } }, "labels");
            LabelsOf(replaced).ShouldBe("l4=v4");

            await Snapshots.UpdateAsync(new Info { Name = name, Parent = "doesnotexist", Labels = { ["l5"] = "v5" } }, "labels.l5", "parent").ShouldFailAsync(ErrorKind.InvalidInput);
            (await Snapshots.StatAsync(name)).ShouldBe(replaced);
        }
    }

    [Fact]
    public async Task Update_OfALabelThatContainerdPassesOn_ChangesIt()
    {
        await _target.CommitLowestAsync("p", "true");

        Info updated = await Snapshots.UpdateAsync(new Info { Name = "p", Labels = { ["containerd.io/snapshot/x"] = "1" } }, "labels.containerd.io/snapshot/x");

        updated.Labels["containerd.io/snapshot/x"].ShouldBe("1");
        (await Snapshots.StatAsync("p")).Labels["containerd.io/snapshot/x"].ShouldBe("1");
    }

    [Fact]
    public async Task Commit_TakesTheLabelsOfTheCommitOnly()
    {
        await Snapshots.PrepareAsync("a", "", ("of", "prepare"));
        await Snapshots.CommitAsync("c", "a", ("at", "commit"));

        LabelsOf(await Snapshots.StatAsync("c")).ShouldBe("at=commit");
    }

    [Theory]
    [InlineData("labels.\"containerd.io/gc.root\"==conformance", "a-np p a v p-wl a-wl v-wl a-np-wl")]
    [InlineData("kind==active,labels.\"containerd.io/gc.root\"==conformance", "a-np a a-wl a-np-wl")]
    [InlineData("kind==view", "v v-wl")]
    [InlineData("kind==committed", "p p-wl")]
    [InlineData("name==p|name==a-np-wl", "p a-np-wl")]
    [InlineData("name==a-wl,labels.l", "a-wl")]
    [InlineData("parent==p", "a v")]
    [InlineData("parent!=\"\"", "a v a-wl v-wl")]
    [InlineData("labels.l", "p-wl a-wl v-wl a-np-wl")]
    [InlineData("labels.l==2", "a-wl a-np-wl")]
    [InlineData("name~=^a-.*wl$", "a-wl a-np-wl")]
    [InlineData("labels.l!=2,labels.l", "p-wl v-wl")]
    [InlineData("kind==view|labels.l==1", "v v-wl p-wl")]
    [InlineData("nosuchfield==x", "")]
    public async Task List_WithFilters_SelectsByThem(string filters, string expected)
    {
        await Snapshots.PrepareAsync("a-np");
        await _target.CommitLowestAsync("p", "true");
        await Snapshots.PrepareAsync("a", "p");
        await Snapshots.ViewAsync("v", "p");
        await _target.CommitLowestAsync("p-wl", "true");
        await Snapshots.UpdateAsync(new Info { Name = "p-wl", Labels = { ["l"] = "1" } }, "labels.l");
        await Snapshots.PrepareAsync("a-wl", "p-wl", ("l", "2"));
        await Snapshots.ViewAsync("v-wl", "p-wl", ("l", "3"));
        await Snapshots.PrepareAsync("a-np-wl", "", ("l", "2"));

        (await Snapshots.ListAsync(filters.Split('|'))).Select(info => info.Name).ShouldBe(expected.Split(' ', StringSplitOptions.RemoveEmptyEntries), ignoreOrder: true);
    }

    [Fact]
    public async Task List_WhileItRuns_AllowsStatAndRemove()
    {
        await CommitTwoLayersWithUsersAsync();

        List<string> walked = [];
        await foreach (Info info in Snapshots.WalkAsync())
        {
            (await Snapshots.StatAsync(info.Name)).ShouldBe(info);
            walked.Add(info.Name);
            if (info.Kind != Kind.Committed)
            {
                await Snapshots.RemoveAsync(info.Name);
            }
        }

        walked.ShouldBe(["c1", "c2", "a1", "a2", "v1", "v2"], ignoreOrder: true);
        (await Snapshots.ListAsync()).Select(info => info.Name).ShouldBe(["c1", "c2"], ignoreOrder: true);
    }

    [Fact]
    public async Task List_OfMoreThanOneMessage_LosesNone()
    {
        string[] keys = [.. Enumerable.Range(0, 250).Select(i => $"k{i}")];
        foreach (string key in keys)
        {
            await Snapshots.PrepareAsync(key);
        }

        (await Snapshots.ListAsync()).Select(info => info.Name).ShouldBe(keys, ignoreOrder: true);
    }

    /// <summary>Two committed, two active and two view snapshots, with and without parent.</summary>
    private async Task CommitTwoLayersWithUsersAsync()
    {
        await _target.CommitLowestAsync("c1", "true");
        await Snapshots.CommitLayerAsync("c2", "c1", "true");
        await Snapshots.PrepareAsync("a1", "c2");
        await Snapshots.PrepareAsync("a2");
        await Snapshots.ViewAsync("v1", "c2");
        await Snapshots.ViewAsync("v2");
    }

    /// <summary>What a test has set: without what keeps snapshots alive, and without the reference that provided layers keep.</summary>
    private static string LabelsOf(Info info) => string.Join(
        ' ',
        info.Labels.Where(label => label.Key is not ("containerd.io/gc.root" or "containerd.io/snapshot.ref")).Select(label => $"{label.Key}={label.Value}").Order(StringComparer.Ordinal));
}
