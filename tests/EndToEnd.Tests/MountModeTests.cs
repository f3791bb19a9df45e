using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, 4: what holds in every mount mode.</summary>
public abstract class MountModeTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task Version_AndTest_SayTheModeAndWhyItIsNotBetter()
    {
        bool best = Fixture.StartsEarly && Fixture.MountMode.StartsWith("single overlay", StringComparison.Ordinal);
        foreach (string command in new[] { "version", "test" })
        {
            string output = (await Stack.Cli(command)).Succeeded();
            output.ShouldContain(Fixture.MountMode + "\n");
            output.Contains(" - ", StringComparison.Ordinal).ShouldBe(!best, output);
        }

        Stack.Logs.ShouldContain(Fixture.MountMode);
    }

    [Fact]
    public async Task Daemon_KilledWithARunningContainer_DisturbsNothingAndLeavesNothing()
    {
        WorkerContents before = await Stack.ContentsAsync();
        string reference = await SampleImage.PushAsync(Stack, "modes/killed:1", 1);
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);
        string old = await Stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);
        string stopped = await Stack.StartContainerAsync(reference, ["/bin/sh", "-c", "echo kept > /kept; exec /bin/sleep 1000"]);
        await Probe.UntilAsync(() => File.Exists(Path.Combine(Stack.RootOf(stopped), "kept")), "the container has written");

        await Stack.KillDaemonAsync();
        (await Stack.ExecAsync(old, "/bin/cat", "/zz/0")).Length.ShouldBe(SampleImage.LargeFile);
        await Stack.StartDaemonAsync();

        // a running container never notices, a stopped one starts on what it had, a new one starts too
        (await Stack.ExecAsync(old, "/bin/ls", "/zz")).ShouldBe("0\n");
        _ = await Stack.Ctr("task", "kill", "--signal", "SIGKILL", stopped);
        _ = await Stack.Ctr("task", "delete", "--force", stopped);
        (await Stack.Ctr("task", "start", "-d", stopped)).Succeeded();
        (await Stack.ExecAsync(stopped, "/bin/cat", "/kept")).ShouldBe("kept\n");
        (await Stack.RunAsync(reference, ["/bin/sh", "-c", "echo new"])).ShouldBe("new\n");

        await Stack.RemoveContainerAsync(old);
        await Stack.RemoveContainerAsync(stopped);
        await Images.RemoveAsync(Stack, reference);
        await Probe.UntilAsync(() => Leftovers().Length == 0, "nothing is mounted or attached any more");
        (await Stack.ContentsAsync()).ToString().ShouldBe(before.ToString());
    }

    [Fact]
    public async Task Daemon_StoppedWithARunningContainer_DisturbsNothing()
    {
        string reference = await SampleImage.PushAsync(Stack, "modes/stopped:1", 1);
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);
        string container = await Stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);

        (await Stack.StopDaemonAsync()).ShouldBe(0);

        (await Stack.ExecAsync(container, "/bin/cat", "/zz/0")).Length.ShouldBe(SampleImage.LargeFile);
        Mounts().ShouldBeEmpty();
        await Stack.StartDaemonAsync();
        (await Stack.RunAsync(reference, ["/bin/sh", "-c", "echo new"])).ShouldBe("new\n");
        await Stack.RemoveContainerAsync(container);
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Commit_OfAChangedContainer_KeepsWholeFilesAndRuns()
    {
        string reference = await SampleImage.PushAsync(Stack, "modes/commit:1", 1, "mkdir app; echo one > app/changed; echo gone > app/deleted; echo same > app/chmod");
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);
        string container = await Stack.StartContainerAsync(
            reference, ["/bin/sh", "-c", "echo two >> /app/changed; echo new > /app/new; > /app/ready; exec /bin/sleep 1000"]);
        string root = Stack.RootOf(container);
        await Probe.UntilAsync(() => File.Exists(Path.Combine(root, "app/ready")), "the container has written");
        Tool.Run("chmod", ["600", Path.Combine(root, "app/chmod")]);
        File.Delete(Path.Combine(root, "app/deleted"));
        _ = await Stack.Ctr("task", "kill", "--signal", "SIGKILL", container);
        _ = await Stack.Ctr("task", "delete", "--force", container);

        // the difference, as a builder makes a layer of it
        using ScratchDirectory scratch = new();
        string archive = scratch["diff.tar"];
        Tool.Bash($"ctr --address {Stack.Containerd.Address} snapshots --snapshotter {StarlightStack.Snapshotter} diff {container} > {archive}", scratch.Path);
        Tool.Bash($"zcat -f {archive} | tar -t | grep -v '/$' | sort", scratch.Path).Trim().Split('\n').ShouldBe(["app/.wh.deleted", "app/changed", "app/chmod", "app/new", "app/ready"]);
        Tool.Bash($"zcat -f {archive} | tar -xO app/changed app/chmod", scratch.Path).ShouldBe("one\ntwo\nsame\n");

        // and as a layer of the snapshotter
        string layer = Stack.NewName("layer");
        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "commit", layer, container)).Succeeded();
        string view = Stack.NewName("view");
        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "prepare", view, layer)).Succeeded();
        string mount = (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "mounts", scratch.Create("root"), view)).Succeeded();
        Tool.Bash(mount, scratch.Path);
        try
        {
            Tool.Run("cat", [scratch["root/app/changed"]]).ShouldBe("one\ntwo\n");
            File.Exists(scratch["root/app/deleted"]).ShouldBeFalse();
            File.ReadAllText(scratch["root/zz/0"]).Length.ShouldBe(SampleImage.LargeFile);
        }
        finally
        {
            Tool.Run("umount", [scratch["root"]]);
        }

        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "rm", view)).Succeeded();
        (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "rm", layer)).Succeeded();
        (await Stack.Ctr("container", "delete", container)).Succeeded();
        await Images.RemoveAsync(Stack, reference);
    }

    /// <summary>What is mounted for trees.</summary>
    private string[] Mounts() => [.. File.ReadLines("/proc/self/mountinfo").Where(line => line.Split(' ')[4].StartsWith(Path.Combine(Stack.FsRoot, "images"), StringComparison.Ordinal))];

    /// <summary>Mounts, and loop devices on files of this worker.</summary>
    private string[] Leftovers() => [.. Mounts(), .. Tool.Run("losetup", ["--list", "--noheadings", "--output", "BACK-FILE"]).Split('\n').Where(f => f.Contains(Stack.FsRoot, StringComparison.Ordinal))];
}
