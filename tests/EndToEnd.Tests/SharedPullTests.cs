using System.Globalization;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Two pulls of one image at once receive it once; neither takes it away from the other.</summary>
[Collection(nameof(StackCollection))]
public sealed class SharedPullTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task Pull_ThatAnotherHasJoined_MayBeInterrupted()
    {
        WorkerContents before = await Stack.ContentsAsync();
        string reference = await SlowAsync("shared-pull/kept:1");
        using ChildProcess first = Stack.StartCli("pull", "-q", "--disable-early-start", reference);
        await KnownAsync(reference);
        using ChildProcess second = Stack.StartCli("pull", "-q", reference);
        (await second.WaitAsync(TimeSpan.FromSeconds(60))).ExitCode.ShouldBe(0);

        await InterruptAsync(first);

        Stack.Relay.Rule = RelayRule.None;
        (await Stack.RunAsync(reference, ["/bin/cat", "/zz/3"])).Length.ShouldBe(SampleImage.LargeFile);
        await Images.RemoveAsync(Stack, reference);
        await Worker.BecomesAsync(Stack, before);
    }

    [Fact]
    public async Task Pulls_ThatAreInterruptedOneAfterTheOther_LeaveNothing()
    {
        WorkerContents before = await Stack.ContentsAsync();
        string reference = await SlowAsync("shared-pull/gone:1");
        using ChildProcess first = Stack.StartCli("pull", "-q", "--disable-early-start", reference);
        await KnownAsync(reference);
        using ChildProcess second = Stack.StartCli("pull", "-q", "-n", "other", "--disable-early-start", reference);
        await KnownAsync(reference, "--namespace", "other");

        await InterruptAsync(first);
        (await Stack.ContentsAsync()).Trees.Count.ShouldBe(before.Trees.Count + 1, "the second goes on");
        await InterruptAsync(second);

        Stack.Relay.Rule = RelayRule.None;
        await Worker.BecomesAsync(Stack, before);
    }

    private static async Task InterruptAsync(ChildProcess pull)
    {
        pull.HasExited.ShouldBeFalse();
        Tool.Run("kill", ["-INT", pull.Pid.ToString(CultureInfo.InvariantCulture)]);
        (await pull.WaitAsync(TimeSpan.FromSeconds(30))).ExitCode.ShouldBe(130);
    }

    private async Task<string> SlowAsync(string repositoryAndTag)
    {
        string reference = await SampleImage.PushAsync(Stack, repositoryAndTag);
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);

        // slow rather than held, which would hold the second pull's answer too
        Stack.Relay.Rule = new RelayRule { BytesPerSecond = (int)(bundle.Length / 30) };
        return reference;
    }

    private async Task KnownAsync(string reference, params string[] options) =>
        await Probe.UntilAsync(
            () => Stack.Ctr([.. options, "images", "ls", "-q"]).GetAwaiter().GetResult().Succeeded().Contains(reference, StringComparison.Ordinal), "containerd knows the image");
}
