using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, point 3: stargz-snapshotter's <c>ctr-remote images rpull</c>, whose labels name the image otherwise than CRI's.</summary>
public abstract class RemotePullTests(StackFixture fixture) : StackTest(fixture)
{
    protected static readonly string[] MoreLayers = [.. Enumerable.Range(0, 4).Select(i => $"echo {i} > layer{i}")];

    [Fact]
    public async Task Rpull_OfAnImageTheProxyDoesNotKnow_IsOrdinary()
    {
        string reference = await SampleImage.PushAsync(Stack, "rpull/unknown:1", 1, MoreLayers);

        await RpullAsync(reference);

        (await Stack.ContentsAsync()).Trees.ShouldBeEmpty();
        (await Stack.RunAsync(reference, ["/bin/cat", "/layer3"])).ShouldBe("3\n");
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Pull_ByCommandAfterRpull_AndTheOtherWayRound_ShareTheImage()
    {
        WorkerContents before = await Stack.ContentsAsync();
        string reference = await SampleImage.PushAsync(Stack, "rpull/both:1", 1, MoreLayers);
        await Stack.NotifyAsync(reference);

        await RpullAsync(reference);
        await Stack.PullWholeAsync(reference);
        (await Stack.ContentsAsync()).Trees.ShouldHaveSingleItem();
        await RpullAsync(reference);
        (await Stack.ContentsAsync()).Trees.ShouldHaveSingleItem();

        (await Stack.RunAsync(reference, ["/bin/cat", "/layer3"])).ShouldBe("3\n");
        await Images.RemoveAsync(Stack, reference);
        await Worker.BecomesAsync(Stack, before);
    }

    protected async Task RpullAsync(string reference)
    {
        Requirements.Program("ctr-remote");
        (await Stack.Containerd.RunClient("ctr-remote", "images", "rpull", "--plain-http", "--snapshotter", StarlightStack.Snapshotter, reference)).Succeeded();
    }
}

[Collection(nameof(StackCollection))]
public sealed class EarlyRemotePullTests(StackFixture fixture) : RemotePullTests(fixture)
{
    [Fact]
    public async Task Rpull_OfAnImageTheProxyKnows_StartsWhileItsContentArrives()
    {
        string reference = await SampleImage.PushAsync(Stack, "rpull/known:1", 4, MoreLayers);
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        WorkerContents before = await Stack.ContentsAsync();
        int asked = Stack.Relay.Requests.Count;
        Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length / 2 };

        await RpullAsync(reference);

        (await Stack.RunAsync(reference, ["/bin/sh", "-c", "echo started; cat /layer3"])).ShouldBe("started\n3\n");
        Stack.Relay.Delivered.ShouldBeLessThanOrEqualTo(bundle.Length / 2);
        Stack.Relay.Requests.Skip(asked).Count(r => r.Contains("/starlight/delta", StringComparison.Ordinal)).ShouldBe(1);
        Stack.Relay.Rule = RelayRule.None;
        (await Stack.RunAsync(reference, ["/bin/cat", "/zz/3"])).Length.ShouldBe(SampleImage.LargeFile);

        await Images.RemoveAsync(Stack, reference);
        await Worker.BecomesAsync(Stack, before);
    }
}

/// <summary>On a worker that cannot start containers early, such a pull too returns when one can start.</summary>
public abstract class WaitingRemotePullTests(StackFixture fixture) : RemotePullTests(fixture)
{
    [Fact]
    public async Task Rpull_OfAnImageTheProxyKnows_ReturnsWhenAllOfItIsHere()
    {
        string reference = await SampleImage.PushAsync(Stack, "rpull/waiting:1", 4, MoreLayers);
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        WorkerContents before = await Stack.ContentsAsync();
        int asked = Stack.Relay.Requests.Count;
        Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length / 2 };

        Task pull = RpullAsync(reference);
        await Probe.UntilAsync(() => Stack.Relay.Delivered == bundle.Length / 2, "half of it has arrived");
        pull.IsCompleted.ShouldBeFalse();
        Stack.Relay.Rule = RelayRule.None;
        await pull;

        Stack.Relay.Requests.Skip(asked).Count(r => r.Contains("/starlight/delta", StringComparison.Ordinal)).ShouldBe(1);
        (await Stack.ContentsAsync()).Trees.ShouldHaveSingleItem();
        (await Stack.RunAsync(reference, ["/bin/sh", "-c", "cat /layer3 /zz/3"])).Length.ShouldBe(SampleImage.LargeFile + "3\n".Length);
        await Images.RemoveAsync(Stack, reference);
        await Worker.BecomesAsync(Stack, before);
    }
}
