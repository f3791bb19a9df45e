using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, 4: on a worker that cannot start containers early, pulls and containers wait until everything is here.</summary>
public abstract class WaitingForCompletionTests(StackFixture fixture) : StackTest(fixture)
{
    /// <summary>More than the last large file takes on the wire, less than the last two.</summary>
    private const long Withheld = 2_200_000;

    [Fact]
    public async Task PullAndRun_WhileContentIsArriving_WaitForAllOfIt()
    {
        string reference = await HeldAsync("waiting/both:1");
        using ChildProcess pull = Stack.StartCli("pull", reference);
        await KnownAsync(reference);
        using LoggedCtr run = Stack.StartRun(reference, ["/bin/cat", "/zz/3"]);
        await Probe.UntilAsync(() => Directory.EnumerateDirectories(Path.Combine(Stack.FsRoot, "snapshots", "snapshots")).Any(d => long.TryParse(Path.GetFileName(d), out _)), "the container's snapshot is being made");
        (pull.HasExited || run.HasExited).ShouldBeFalse();

        Stack.Relay.Rule = RelayRule.None;

        string said = (await pull.WaitAsync(TimeSpan.FromSeconds(60))).Succeeded();
        said.ShouldContain("complete: ");
        said.ShouldNotContain("ready to start");
        (await run.WaitAsync(TimeSpan.FromSeconds(60))).Succeeded().Length.ShouldBe(SampleImage.LargeFile);
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Pull_CancelledWhileContentIsArriving_LeavesNothing()
    {
        WorkerContents before = await Stack.ContentsAsync();
        string reference = await HeldAsync("waiting/cancelled:1");
        using ChildProcess pull = Stack.StartCli("pull", reference);
        await KnownAsync(reference);

        Tool.Run("kill", ["-INT", pull.Pid.ToString(System.Globalization.CultureInfo.InvariantCulture)]);

        (await pull.WaitAsync(TimeSpan.FromSeconds(30))).ExitCode.ShouldBe(130);
        await Probe.UntilAsync(() => Stack.ContentsAsync().GetAwaiter().GetResult().ToString() == before.ToString(), "all is as before");
    }

    [Fact]
    public async Task Run_AfterARestartInTheMiddle_WaitsForWhatIsTakenUpAgain()
    {
        string reference = await HeldAsync("waiting/restart:1");
        using ChildProcess pull = Stack.StartCli("pull", reference);
        await KnownAsync(reference);
        await Probe.UntilAsync(() => Directory.EnumerateFiles(Stack.ObjectsDirectory, "*", SearchOption.AllDirectories).Count() > 4, "something has arrived");

        await Stack.KillDaemonAsync();
        (await pull.WaitAsync(TimeSpan.FromSeconds(30))).ExitCode.ShouldNotBe(0);
        Stack.Relay.Rule = new RelayRule { HoldAfter = 0 };
        await Stack.StartDaemonAsync();
        using LoggedCtr run = Stack.StartRun(reference, ["/bin/cat", "/zz/3"]);
        await Probe.UntilAsync(() => Directory.EnumerateDirectories(Path.Combine(Stack.FsRoot, "snapshots", "snapshots")).Any(d => long.TryParse(Path.GetFileName(d), out _)), "the container's snapshot is being made");
        run.HasExited.ShouldBeFalse();
        Stack.Relay.Rule = RelayRule.None;

        (await run.WaitAsync(TimeSpan.FromSeconds(60))).Succeeded().Length.ShouldBe(SampleImage.LargeFile);
        await Images.RemoveAsync(Stack, reference);
    }

    private async Task<string> HeldAsync(string repositoryAndTag)
    {
        string reference = await SampleImage.PushAsync(Stack, repositoryAndTag);
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length - Withheld };
        return reference;
    }

    private async Task KnownAsync(string reference) =>
        await Probe.UntilAsync(() => Stack.Ctr("images", "ls", "-q").GetAwaiter().GetResult().Succeeded().Contains(reference, StringComparison.Ordinal), "containerd knows the image");
}
