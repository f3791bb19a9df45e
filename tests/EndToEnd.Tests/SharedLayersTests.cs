using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, 2: images that stand on the lower layers of an image that Starlight has brought. containerd unpacks only what lies above; below is a tree that Starlight fetches when it is first needed.</summary>
public abstract class LowerLayers(StackFixture fixture) : StackTest(fixture)
{
    /// <summary>The only image's second layer from above.</summary>
    protected async Task<string> BelowTheTopAsync()
    {
        // KEY PARENT KIND; the lowest has no parent
        Dictionary<string, string> parents = (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "ls")).Succeeded().Split('\n')[1..^1]
            .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(f => f.Length == 3).ToDictionary(f => f[0], f => f[1]);
        return parents[parents.Keys.Except(parents.Values).Single()];
    }

    protected async Task LeavesAsync(WorkerContents before)
    {
        await Probe.UntilAsync(async () => (await Stack.ContentsAsync()).ToString() == before.ToString(), "nothing is left of the images");
    }
}

[Collection(nameof(StackCollection))]
public class SharedLayersTests(StackFixture fixture) : LowerLayers(fixture)
{
    private const int Below = 3;

    [Fact]
    public async Task Images_OnTheLowerLayersOfAStarlightImage_AreTheSameAsThroughOverlayfs()
    {
        WorkerContents before = await Stack.ContentsAsync();
        IReadOnlyList<byte[]> layers = await OddImage.LayersAsync();
        byte[] other = await OtherLayerAsync();
        string whole = await OddImage.PushAsync(Stack, "shared/whole:1", layers);
        string lower = await OddImage.PushAsync(Stack, "shared/lower:1", [.. layers.Take(Below)]);
        string sibling = await OddImage.PushAsync(Stack, "shared/sibling:1", [.. layers.Take(Below), other]);
        HashSet<string> madeByUnpacking = [];
        Dictionary<string, string[]> expected = [];
        DateTimeOffset since = DateTimeOffset.UtcNow;
        foreach (string reference in new[] { lower, sibling })
        {
            (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", "overlayfs", reference)).Succeeded();
            expected[reference] = await ContainerWalk.InsideAsync(Stack, reference, "overlayfs", madeByUnpacking, since);
        }

        await Images.RemoveAsync(Stack, lower, sibling);
        await Stack.NotifyAsync(whole);
        await Stack.PullWholeAsync(whole);
        WorkerContents one = await Stack.ContentsAsync();
        one.Trees.Count.ShouldBe(before.Trees.Count + 1);

        // nothing of these is known to the proxy; the one has no layer of its own
        foreach (string reference in new[] { lower, sibling })
        {
            (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", StarlightStack.Snapshotter, reference)).Succeeded();
            (await ContainerWalk.InsideAsync(Stack, reference, StarlightStack.Snapshotter, madeByUnpacking)).ShouldBe(expected[reference]);
        }

        // one more tree, for both
        (await Stack.ContentsAsync()).Trees.Count.ShouldBe(before.Trees.Count + 2);

        // the image that brought the layers goes, those that stand on them stay
        await Images.RemoveAsync(Stack, whole);
        (await ContainerWalk.InsideAsync(Stack, sibling, StarlightStack.Snapshotter, madeByUnpacking)).ShouldBe(expected[sibling]);
        (await ContainerWalk.InsideAsync(Stack, lower, StarlightStack.Snapshotter, madeByUnpacking)).ShouldBe(expected[lower]);
        await Images.RemoveAsync(Stack, sibling, lower);
        await LeavesAsync(before);
    }

    [Fact]
    public async Task TreeOfLowerLayers_WhenTheProxyIsAway_IsFetchedOnceItIsBack()
    {
        WorkerContents before = await Stack.ContentsAsync();
        IReadOnlyList<byte[]> layers = await OddImage.LayersAsync();
        string whole = await OddImage.PushAsync(Stack, "shared/away:1", layers);
        string lower = await OddImage.PushAsync(Stack, "shared/away-lower:1", [.. layers.Take(Below)]);
        await Stack.NotifyAsync(whole);
        await Stack.PullWholeAsync(whole);
        (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", StarlightStack.Snapshotter, lower)).Succeeded();
        await Stack.StopProxyAsync();
        ProcessOutcome refused;
        try
        {
            refused = await Stack.Ctr("run", "--rm", "--snapshotter", StarlightStack.Snapshotter, lower, Stack.NewName("away"), "/bin/true");
        }
        finally
        {
            await Stack.StartProxyAsync();
        }

        refused.ExitCode.ShouldNotBe(0);
        refused.ErrorOutput.ShouldContain("the lower layers of", Case.Sensitive, Stack.Logs);
        refused.ErrorOutput.ShouldContain("cannot be reached");
        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "ls")).Succeeded().ShouldNotContain("away");
        HashSet<string> madeByUnpacking = [];
        (await ContainerWalk.InsideAsync(Stack, lower, StarlightStack.Snapshotter, madeByUnpacking)).ShouldNotContain(l => l.StartsWith("/links/new-name ", StringComparison.Ordinal));
        await Images.RemoveAsync(Stack, whole, lower);
        await LeavesAsync(before);
    }

    private static async Task<byte[]> OtherLayerAsync()
    {
        using ScratchDirectory scratch = new();
        Tool.Bash(
            """
            mkdir tree; cd tree
            mkdir names links merged; echo changed > names/.hidden; : > .wh.sparse; : > links/.wh.b; echo new > merged/newer; ln merged/newer linked
            find . -mindepth 1 -printf '%P\0' | LC_ALL=C sort -z | tar --create --file ../layer.tar --format=posix --numeric-owner --no-recursion --null --verbatim-files-from --files-from=-
            """,
            scratch.Path);
        return await File.ReadAllBytesAsync(scratch["layer.tar"]);
    }
}

[Collection(nameof(StackCollection))]
public sealed class SharedLayersRestartTests(StackFixture fixture) : LowerLayers(fixture)
{
    [Fact]
    public async Task TreeOfLowerLayers_WhenTheDaemonStopsWhileItArrives_GoesOnAfterItsRestart()
    {
        WorkerContents before = await Stack.ContentsAsync();

        // the top layer takes the large files away: their contents come with the tree below only
        string whole = await SampleImage.PushAsync(Stack, "shared/restart:1", 2, "mkdir zz; : > zz/.wh..wh..opq");
        await Stack.NotifyAsync(whole);
        await Stack.PullWholeAsync(whole);
        string lower = await BelowTheTopAsync();
        Stack.Relay.Rule = new RelayRule { HoldAfter = 10_000 };
        string view = Stack.NewName("view");
        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "view", view, lower)).Succeeded();

        // nothing refers to it: containerd's collector would take it
        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "label", view, "containerd.io/gc.root=test")).Succeeded();

        await Stack.KillDaemonAsync();
        Stack.Relay.Rule = RelayRule.None;
        await Stack.StartDaemonAsync();

        // mounted after the restart: the open waits until the file is here
        using ScratchDirectory scratch = new();
        string command = (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "mounts", scratch.Path, view)).Succeeded();
        Tool.Bash(command, scratch.Path);
        try
        {
            new FileInfo(scratch["zz/1"]).Length.ShouldBe(SampleImage.LargeFile);
            (await File.ReadAllTextAsync(scratch["zz/1"])).Length.ShouldBe(SampleImage.LargeFile);
        }
        finally
        {
            Tool.Run("umount", ["-l", scratch.Path]);
        }

        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "rm", view)).Succeeded();
        await Images.RemoveAsync(Stack, whole);
        await LeavesAsync(before);
    }
}
