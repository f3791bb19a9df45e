using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Crashes, removal, repetition.</summary>
[Collection(nameof(StackCollection))]
public sealed class LifetimeTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task Daemon_KilledInTheMiddleOfAPull_GoesOnAfterItsRestart()
    {
        string reference = await SampleImage.PushAsync(Stack, "life/crash:1");
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length / 2 };
        (await Stack.Cli("pull", reference)).Succeeded();
        string old = await Stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);

        // all programs are in the first half; delivered to the daemon's socket is not yet stored
        string lastProgram = Path.Combine(Stack.ObjectsDirectory, bundle.Contents[^5].Digest.ObjectPath);
        await Probe.UntilAsync(() => File.Exists(lastProgram), "everything but the large files has arrived");

        await Stack.KillDaemonAsync();

        // what has arrived can be opened all the same, by a container that was there before
        (await Stack.Ctr("task", "exec", "--exec-id", "after-crash", old, "/bin/ls", "/zz")).Succeeded().ShouldBe("0\n1\n2\n3\n");
        Stack.Relay.Rule = new RelayRule { HoldAfter = 0 };
        await Stack.StartDaemonAsync();
        string container = await Stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);
        using ChildProcess reader = Stack.StartCtr("task", "exec", "--exec-id", "reader", container, "/bin/cat", "/zz/3");
        await WaitingProcess.InOpenAsync(await Stack.PidOfAsync(container), "/bin/cat", "/zz/3");

        Stack.Relay.Rule = RelayRule.None;

        (await reader.WaitAsync(TimeSpan.FromSeconds(60))).Succeeded().Length.ShouldBe(SampleImage.LargeFile);
        await Stack.PullWholeAsync(reference);
        await Stack.RemoveContainerAsync(old);
        await Stack.RemoveContainerAsync(container);
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Remove_OfAnImage_FreesEverythingThatOnlyItNeeded()
    {
        WorkerContents before = await Stack.ContentsAsync();
        string kept = await SampleImage.PushAsync(Stack, "life/kept:1", 1);
        await Stack.NotifyAsync(kept);
        await Stack.PullWholeAsync(kept);
        WorkerContents one = await Stack.ContentsAsync();
        string removed = await SampleImage.PushAsync(Stack, "life/removed:1", 1, "echo more > more");
        await Stack.NotifyAsync(removed);
        await Stack.PullWholeAsync(removed);
        (await Stack.ContentsAsync()).Objects.ShouldBeGreaterThan(one.Objects);

        await Images.RemoveAsync(Stack, removed);
        await Worker.BecomesAsync(Stack, one);
        (await Stack.RunAsync(kept, ["/bin/cat", "/zz/0"])).Length.ShouldBe(SampleImage.LargeFile);

        await Images.RemoveAsync(Stack, kept);
        await Worker.BecomesAsync(Stack, before);
    }

    [Fact]
    public async Task Pull_Twice_ChangesNothingAndSendsNothing()
    {
        string reference = await SampleImage.PushAsync(Stack, "life/twice:1", 1);
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);
        WorkerContents once = await Stack.ContentsAsync();
        Stack.Relay.Rule = RelayRule.None;

        await Stack.PullWholeAsync(reference);

        (await Stack.ContentsAsync()).ToString().ShouldBe(once.ToString());
        Stack.Relay.Delivered.ShouldBeLessThan(SampleImage.LargeFile / 10);
        (await Stack.RunAsync(reference, ["/bin/sh", "-c", "echo works"])).ShouldBe("works\n");
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Pull_ByDigest_GivesThatImage()
    {
        string tagged = await SampleImage.PushAsync(Stack, "life/digest:1", 1);
        string digest = (await Stack.Cli("notify", tagged)).Succeeded().Split(' ')[1];
        digest.ShouldStartWith("sha256:");
        string pinned = Stack.Reference($"life/digest@{digest}");

        (await Stack.Cli("pull", "--disable-early-start", pinned)).Succeeded().ShouldContain(digest);

        (await Stack.Ctr("images", "ls", "-q")).Succeeded().Split('\n').ShouldContain(pinned);
        (await Stack.RunAsync(pinned, ["/bin/sh", "-c", "echo works"])).ShouldBe("works\n");
        await Images.RemoveAsync(Stack, pinned);
    }
}
