using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Removal, repetition.</summary>
[Collection(nameof(StackCollection))]
public class LifetimeTests(StackFixture fixture) : StackTest(fixture)
{
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
