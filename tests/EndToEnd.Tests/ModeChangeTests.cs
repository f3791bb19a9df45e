using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, 4: images that were received in one mount mode are there in another, and demands that cannot be met are refused.</summary>
public sealed class ModeChangeTests
{
    [Fact]
    public async Task Daemon_RestartedInAnotherMode_UsesTheImagesThatAreHere()
    {
        await using StarlightStack stack = await StarlightStack.StartAsync();
        string reference = await SampleImage.PushAsync(stack, "modes/change:1", 1);
        await stack.NotifyAsync(reference);
        await stack.PullWholeAsync(reference);
        WorkerContents before = await stack.ContentsAsync();
        List<string> containers = [];
        foreach (string[] arguments in new string[][]
        {
            ["--mount-mode", "directory-tree"],
            ["--mount-mode", "nested-overlay", "--erofs", "loop"],
            ["--mount-mode", "single-overlay", "--early-start", "off"],
            ["--mount-mode", "directory-tree"],
            [],
        })
        {
            containers.Add(await stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]));
            await (containers.Count % 2 == 0 ? stack.KillDaemonAsync() : stack.StopDaemonAsync());
            stack.DaemonArguments = arguments;
            await stack.StartDaemonAsync();
            (await stack.RunAsync(reference, ["/bin/cat", "/zz/0"])).Length.ShouldBe(SampleImage.LargeFile);

            // those of all modes before go on
            foreach (string container in containers)
            {
                (await stack.ExecAsync(container, "/bin/ls", "/zz")).ShouldBe("0\n");
            }
        }

        foreach (string container in containers)
        {
            await stack.RemoveContainerAsync(container);
        }

        (await stack.ContentsAsync()).ToString().ShouldBe(before.ToString());
        await Images.RemoveAsync(stack, reference);
        WorkerContents after = await stack.ContentsAsync();
        after.Trees.ShouldBeEmpty();
        after.Objects.ShouldBe(0);
    }

    [Theory]
    [InlineData("early_start is on", "--mount-mode", "directory-tree", "--early-start", "on")]
    [InlineData("use auto, single-overlay, nested-overlay, directory-tree", "--mount-mode", "fuse")]
    public async Task Daemon_ToldWhatCannotBe_RefusesToStart(string reason, params string[] arguments)
    {
        Requirements.Root();
        using ScratchDirectory scratch = new();

        ProcessOutcome outcome = await ProcessRunner.RunAsync(
            StarlightProgram.Daemon[0],
            [.. StarlightProgram.Daemon.Skip(1), "-c", scratch["daemon.json"], "--fs-root", scratch["root"], "--socket", scratch["s.sock"], "--daemon", scratch["d.sock"], .. arguments]);

        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorOutput.ShouldContain(reason);
    }
}
