using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, 2: images that the proxy does not know, and images that came both ways, in either order.</summary>
[Collection(nameof(StackCollection))]
public sealed class OrdinaryImagesTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task CtrPull_OfAnImageTheProxyDoesNotKnow_IsTheSameAsThroughOverlayfsAndLeavesNothing()
    {
        string before = await WorkerStore.DescribeAsync(Stack);
        string reference = await OddImage.PushAsync(Stack, "ordinary/unknown:1");
        DateTimeOffset since = DateTimeOffset.UtcNow;
        HashSet<string> madeByUnpacking = [];
        await CtrPullAsync(reference, "overlayfs");
        string[] expected = await ContainerWalk.InsideAsync(Stack, reference, "overlayfs", madeByUnpacking, since);

        await CtrPullAsync(reference);

        (await ContainerWalk.InsideAsync(Stack, reference, StarlightStack.Snapshotter, madeByUnpacking)).ShouldBe(expected);
        await Images.RemoveAsync(Stack, reference);
        await WorkerStore.ShouldBecomeAsync(Stack, before);
    }

    [Fact]
    public async Task Pull_OfAnImageThatCtrHasUnpacked_KeepsTheLayersAndSaysSo()
    {
        string before = await WorkerStore.DescribeAsync(Stack);
        string reference = await SampleImage.PushAsync(Stack, "ordinary/first:1", 2, "echo top > top");
        await CtrPullAsync(reference);
        string unpacked = await WorkerStore.DescribeAsync(Stack);
        await Stack.NotifyAsync(reference);

        ProcessOutcome pulled = await Stack.Cli("pull", "--disable-early-start", reference);

        pulled.Succeeded();
        (pulled.Output + pulled.ErrorOutput).ShouldContain("unpacked");
        await WorkerStore.ShouldBecomeAsync(Stack, unpacked);
        (await Stack.RunAsync(reference, ["/bin/cat", "/top", "/zz/1"])).Length.ShouldBe(SampleImage.LargeFile + "top\n".Length);
        await Images.RemoveAsync(Stack, reference);
        await WorkerStore.ShouldBecomeAsync(Stack, before);
    }

    [Fact]
    public async Task Pull_OfAnImageWhoseLowerLayersCtrHasUnpacked_StandsOnThemAndLeavesNothing()
    {
        string before = await WorkerStore.DescribeAsync(Stack);
        IReadOnlyList<byte[]> layers = await OddImage.LayersAsync();
        string lower = await OddImage.PushAsync(Stack, "ordinary/lower:1", [.. layers.Take(3)]);
        string whole = await OddImage.PushAsync(Stack, "ordinary/whole:1", layers);
        DateTimeOffset since = DateTimeOffset.UtcNow;
        HashSet<string> madeByUnpacking = [];
        await CtrPullAsync(whole, "overlayfs");
        string[] expected = await ContainerWalk.InsideAsync(Stack, whole, "overlayfs", madeByUnpacking, since);
        await Images.RemoveAsync(Stack, whole);
        await CtrPullAsync(lower);
        await Stack.NotifyAsync(whole);

        await Stack.PullWholeAsync(whole);

        (await ContainerWalk.InsideAsync(Stack, whole, StarlightStack.Snapshotter, madeByUnpacking)).ShouldBe(expected);
        await Images.RemoveAsync(Stack, lower);
        (await ContainerWalk.InsideAsync(Stack, whole, StarlightStack.Snapshotter, madeByUnpacking)).ShouldBe(expected);
        await Images.RemoveAsync(Stack, whole);
        await WorkerStore.ShouldBecomeAsync(Stack, before);
    }

    [Fact]
    public async Task CtrPull_OfAnImageThatStarlightHasPulled_ChangesNothingAndLeavesNothing()
    {
        string before = await WorkerStore.DescribeAsync(Stack);
        string reference = await SampleImage.PushAsync(Stack, "ordinary/second:1", 2, "echo top > top");
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);
        string pulled = await WorkerStore.DescribeAsync(Stack);

        await CtrPullAsync(reference);

        (await WorkerStore.DescribeAsync(Stack)).ShouldBe(pulled);
        (await Stack.RunAsync(reference, ["/bin/cat", "/top", "/zz/1"])).Length.ShouldBe(SampleImage.LargeFile + "top\n".Length);
        await Images.RemoveAsync(Stack, reference);
        await WorkerStore.ShouldBecomeAsync(Stack, before);
    }

    private async Task CtrPullAsync(string reference, string snapshotter = StarlightStack.Snapshotter) =>
        (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", snapshotter, reference)).Succeeded();
}
