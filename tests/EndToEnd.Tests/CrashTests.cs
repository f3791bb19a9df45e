using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>What a killed daemon leaves to running containers while contents are missing.</summary>
[Collection(nameof(StackCollection))]
public class CrashTests(StackFixture fixture) : StackTest(fixture)
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
        (await Stack.ExecAsync(old, "/bin/ls", "/zz")).ShouldBe("0\n1\n2\n3\n");
        Stack.Relay.Rule = new RelayRule { HoldAfter = 0 };
        await Stack.StartDaemonAsync();
        string container = await Stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);
        using LoggedCtr reader = Stack.StartExec(container, "/bin/cat", "/zz/3");
        await WaitingProcess.InOpenAsync(await Stack.PidOfAsync(container), "/bin/cat", "/zz/3");

        Stack.Relay.Rule = RelayRule.None;

        (await reader.WaitAsync(TimeSpan.FromSeconds(60))).Succeeded().Length.ShouldBe(SampleImage.LargeFile);
        await Stack.PullWholeAsync(reference);
        await Stack.RemoveContainerAsync(old);
        await Stack.RemoveContainerAsync(container);
        await Images.RemoveAsync(Stack, reference);
    }
}
