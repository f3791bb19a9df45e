using System.Text.Json.Nodes;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, 2: <c>ctr snapshots …</c> and <c>ctr images mount</c> on an image that Starlight has brought and on one that containerd has unpacked.</summary>
[Collection(nameof(StackCollection))]
public sealed class SnapshotCommandTests(StackFixture fixture) : StackTest(fixture)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CtrSnapshots_EachSubcommand_WorksOnTheImagesLayers(bool provided)
    {
        string before = await WorkerStore.DescribeAsync(Stack);
        string reference = await PullAsync(provided, "commands");
        string top = await TopAsync();
        using ScratchDirectory scratch = new();
        string active = Stack.NewName("active");
        string committed = Stack.NewName("committed");
        string view = Stack.NewName("view");

        (await SnapshotsAsync("ls")).ShouldContain(top);
        JsonNode info = JsonNode.Parse(await SnapshotsAsync("info", top))!;
        ((string)info["Kind"]!).ShouldBe("Committed");
        (await SnapshotsAsync("usage", "-b", top)).ShouldContain(top);
        (await SnapshotsAsync("tree")).ShouldContain(top);
        await SnapshotsAsync("label", top, "color=blue");
        (await SnapshotsAsync("info", top)).ShouldContain("\"color\": \"blue\"");

        string mount = await SnapshotsAsync("prepare", "--target", scratch.Path, active, top);
        mount.ShouldBe(await SnapshotsAsync("mounts", scratch.Path, active));
        await Mounted(mount, scratch.Path, "cat top; echo changed > top; echo new > new; rm zz/0; chmod 700 bin/cat");
        using (MemoryStream layer = new(await DiffAsync(active)))
        {
            Entries(layer).ShouldBe(["bin/", "bin/cat", "new", "top", "zz/", "zz/.wh.0"], ignoreOrder: true);
        }

        await SnapshotsAsync("commit", committed, active);
        JsonNode child = JsonNode.Parse(await SnapshotsAsync("info", committed))!;
        ((string)child["Parent"]!).ShouldBe(top);
        string look = await SnapshotsAsync("view", "--target", scratch.Path, view, committed);
        (await Mounted(look, scratch.Path, "cat top new; ls zz; ! touch x 2>/dev/null")).ShouldBe("changed\nnew\n1\n");

        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "rm", top)).ErrorOutput.ShouldContain("child");
        await SnapshotsAsync("rm", view);
        await SnapshotsAsync("rm", committed);
        await Images.RemoveAsync(Stack, reference);
        await WorkerStore.ShouldBecomeAsync(Stack, before);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CtrSnapshotsUnpack_OfAnImageThatIsThere_ChangesNothing(bool provided)
    {
        string before = await WorkerStore.DescribeAsync(Stack);
        string reference = await PullAsync(provided, "unpack");
        string digest = (await Stack.Ctr("images", "ls", $"name=={reference}")).Succeeded().Split('\n')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries).Single(f => f.StartsWith("sha256:", StringComparison.Ordinal));
        string there = await WorkerStore.DescribeAsync(Stack);

        // this command has a flag of its own for the snapshotter
        (await Stack.Ctr("snapshots", "unpack", "--snapshotter", StarlightStack.Snapshotter, digest)).Succeeded();

        (await WorkerStore.DescribeAsync(Stack)).ShouldBe(there);
        await Images.RemoveAsync(Stack, reference);
        await WorkerStore.ShouldBecomeAsync(Stack, before);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    public async Task CtrImagesMountAndUnmount_ShowTheImageAndLeaveNothing(bool provided, bool writable)
    {
        string before = await WorkerStore.DescribeAsync(Stack);
        string reference = await PullAsync(provided, "mount");
        string there = await WorkerStore.DescribeAsync(Stack);
        using ScratchDirectory scratch = new();

        // What "ctr images mount" does. The one of containerd 1.6 mounts from overlayfs whatever it is told (cmd/ctr/commands/images/mount.go; right since 1.7).
        (await Stack.Ctr("leases", "create", "--id", scratch.Path, $"containerd.io/gc.ref.snapshot.{StarlightStack.Snapshotter}={scratch.Path}")).Succeeded();
        Tool.Bash(await SnapshotsAsync(writable ? "prepare" : "view", "--target", scratch.Path, scratch.Path, await TopAsync()), scratch.Path);
        try
        {
            Tool.Bash("cat top; stat -c %s zz/1", scratch.Path).ShouldBe($"top\n{SampleImage.LargeFile}\n");
            File.ReadAllText(scratch["zz/1"]).Length.ShouldBe(SampleImage.LargeFile);
            Tool.Bash("if echo x > x 2>/dev/null; then cat x; else echo read-only; fi", scratch.Path).ShouldBe(writable ? "x\n" : "read-only\n");
        }
        finally
        {
            (await Stack.Ctr("images", "unmount", "--rm", "--snapshotter", StarlightStack.Snapshotter, scratch.Path)).Succeeded();
        }

        await Stack.Containerd.CollectAsync();
        await WorkerStore.ShouldBecomeAsync(Stack, there);
        await Images.RemoveAsync(Stack, reference);
        await WorkerStore.ShouldBecomeAsync(Stack, before);
    }

    private static async Task<string> Mounted(string command, string target, string script)
    {
        Tool.Bash(command, target);
        try
        {
            return await Task.FromResult(Tool.Bash(script, target));
        }
        finally
        {
            Tool.Run("umount", [target]);
        }
    }

    private static List<string> Entries(Stream layer)
    {
        using System.IO.Compression.GZipStream tar = new(layer, System.IO.Compression.CompressionMode.Decompress);
        using System.Formats.Tar.TarReader reader = new(tar);
        List<string> names = [];
        while (reader.GetNextEntry() is { } entry)
        {
            names.Add(entry.Name);
        }

        return names;
    }

    /// <summary>What standard output brings, as bytes.</summary>
    private async Task<byte[]> DiffAsync(string key) =>
        System.Text.Encoding.Latin1.GetBytes(await SnapshotsAsync("diff", key));

    private async Task<string> PullAsync(bool provided, string name)
    {
        string reference = await SampleImage.PushAsync(Stack, $"commands/{name}:1", 2, "echo top > top");
        if (provided)
        {
            await Stack.NotifyAsync(reference);
            await Stack.PullWholeAsync(reference);
        }
        else
        {
            (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", StarlightStack.Snapshotter, reference)).Succeeded();
        }

        return reference;
    }

    /// <summary>The only image's topmost layer: the snapshot that is nobody's parent.</summary>
    private async Task<string> TopAsync()
    {
        string[][] rows = [.. (await SnapshotsAsync("ls")).Split('\n')[1..^1].Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        string[] parents = [.. rows.Where(r => r.Length == 3).Select(r => r[1])];
        return rows.Select(r => r[0]).Except(parents).Single();
    }

    private async Task<string> SnapshotsAsync(params string[] arguments) => (await Stack.Ctr(["snapshots", "--snapshotter", StarlightStack.Snapshotter, .. arguments])).Succeeded();
}
