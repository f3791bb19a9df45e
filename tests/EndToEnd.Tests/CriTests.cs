using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, point 3: pods whose images nobody pulled with a command of Starlight's.</summary>
[Collection(nameof(StackCollection))]
public sealed class CriTests(CriFixture node) : IClassFixture<CriFixture>, IAsyncLifetime
{
    /// <summary>More than the last large file takes on the wire, less than the last two.</summary>
    private const long Withheld = 2_200_000;

    /// <summary>Layers of the sample beyond its first two.</summary>
    private static readonly string[] MoreLayers = [.. Enumerable.Range(0, 8).Select(i => $"echo {i} > layer{i}")];

    private StarlightStack Stack => node.Stack;

    private CriClient Cri => node.Cri;

    public Task InitializeAsync() => node.ResetAsync();

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task Pod_OfAnImageTheProxyKnows_RunsWhileItsContentArrives()
    {
        string reference = await SampleImage.PushAsync(Stack, "cri/known:1", 4, MoreLayers);
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, $"{reference}@{await ManifestOfAsync(reference)}");
        int blobsBefore = node.BlobRequests("cri/known");
        Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length - Withheld };

        await Cri.PullAsync(reference);
        string pod = await Cri.RunPodAsync();
        string container = await Cri.StartContainerAsync(pod, reference, ["/bin/sleep", "1000"]);
        ExecOutcome early = await Cri.ExecAsync(container, "/bin/sh", "-c", "echo started; cat /layer7");

        early.ShouldBe(new ExecOutcome(0, "started\n7\n", ""));
        Stack.Relay.Delivered.ShouldBeLessThanOrEqualTo(bundle.Length - Withheld);
        node.DeltaRequests("cri/known").ShouldBe(1, "one request for an image, not one per layer");
        (node.BlobRequests("cri/known") - blobsBefore).ShouldBe(1, "containerd fetches the configuration and no layer");

        Stack.Relay.Rule = RelayRule.None;
        ExecOutcome late = await Cri.ExecAsync(container, "/bin/cat", "/zz/3");
        late.Output.Length.ShouldBe(SampleImage.LargeFile);

        await Cri.RemovePodAsync(pod);
        await Cri.RemoveImageAsync(reference);
        await node.LeavesNothingAsync();
    }

    [Fact]
    public async Task Pod_OfAnImageTheProxyDoesNotKnow_RunsFromAnOrdinaryPull()
    {
        string reference = await SampleImage.PushAsync(Stack, "cri/unknown:1", 1, MoreLayers);

        await Cri.PullAsync(reference);

        node.Trees().ShouldBeEmpty();
        node.DeltaRequests("cri/unknown").ShouldBe(1, "a refusal stands for all layers");
        await RunsAsync(reference);
    }

    [Fact]
    public async Task Pod_OfATagThatMovedSinceTheProxyIndexedIt_GetsTheImageTheTagStandsForNow()
    {
        string reference = await SampleImage.PushAsync(Stack, "cri/moved:1", 1, "echo old > which");
        await Stack.NotifyAsync(reference);
        await SampleImage.PushAsync(Stack, "cri/moved:1", 1, "echo new > which");

        await Cri.PullAsync(reference);

        node.Trees().ShouldBeEmpty();
        (await RunsAsync(reference, "cat /which")).ShouldBe("new\n");
    }

    [Fact]
    public async Task Pod_WhileTheProxyIsDown_RunsFromAnOrdinaryPull()
    {
        string reference = await SampleImage.PushAsync(Stack, "cri/down:1", 1, MoreLayers);
        await Stack.NotifyAsync(reference);
        await Stack.StopProxyAsync();
        try
        {
            await Cri.PullAsync(reference);

            node.Trees().ShouldBeEmpty();
            await RunsAsync(reference);
        }
        finally
        {
            await Stack.StartProxyAsync();
        }
    }

    [Fact]
    public async Task Pod_WhileTheProxyIsSilent_RunsFromAnOrdinaryPull()
    {
        string reference = await SampleImage.PushAsync(Stack, "cri/silent:1", 1, MoreLayers);
        await Stack.NotifyAsync(reference);
        Stack.Relay.Rule = new RelayRule { HoldAfter = 0 };

        await Cri.PullAsync(reference);

        node.Trees().ShouldBeEmpty();
        node.DeltaRequests("cri/silent").ShouldBe(1, "the silence is waited for once, not once per layer");
        await RunsAsync(reference);
    }

    [Fact]
    public async Task Pod_WhenTheDaemonRestartsBetweenPullAndStart_GetsTheRestOfItsContent()
    {
        string reference = await SampleImage.PushAsync(Stack, "cri/restart:1", 4, MoreLayers);
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, $"{reference}@{await ManifestOfAsync(reference)}");
        Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length - Withheld };
        await Cri.PullAsync(reference);

        await Stack.KillDaemonAsync();
        await Stack.StartDaemonAsync();
        string pod = await Cri.RunPodAsync();
        string container = await Cri.StartContainerAsync(pod, reference, ["/bin/sleep", "1000"]);
        Stack.Relay.Rule = RelayRule.None;

        (await Cri.ExecAsync(container, "/bin/cat", "/zz/3")).Output.Length.ShouldBe(SampleImage.LargeFile);
    }

    [Fact]
    public async Task Image_RemovedAndPulledAtOnce_WorksEachTime()
    {
        string reference = await SampleImage.PushAsync(Stack, "cri/again:1", 1, MoreLayers);
        await Stack.NotifyAsync(reference);
        for (int i = 0; i < 5; i++)
        {
            await Cri.PullAsync(reference);
            await Cri.RemoveImageAsync(reference);
        }

        await Cri.PullAsync(reference);

        await RunsAsync(reference);
    }

    [Fact]
    public async Task Container_WithAReadOnlyRoot_ReadsAndCannotWrite()
    {
        string reference = await SampleImage.PushAsync(Stack, "cri/readonly:1", 1);
        await Stack.NotifyAsync(reference);
        await Cri.PullAsync(reference);
        node.Trees().ShouldHaveSingleItem();
        string container = await Cri.StartContainerAsync(await Cri.RunPodAsync(), reference, ["/bin/sleep", "1000"], readOnlyRoot: true);

        (await Cri.ExecAsync(container, "/bin/cat", "/zz/0")).Output.Length.ShouldBe(SampleImage.LargeFile);
        ExecOutcome write = await Cri.ExecAsync(container, "/bin/sh", "-c", "echo x > /zz/0");

        write.ExitCode.ShouldNotBe(0);
        write.ErrorOutput.ShouldContain("Read-only file system");
    }

    /// <summary>A pod of the image works, and goes again.</summary>
    private async Task<string> RunsAsync(string reference, string script = "echo works")
    {
        string pod = await Cri.RunPodAsync();
        string container = await Cri.StartContainerAsync(pod, reference, ["/bin/sleep", "1000"]);
        ExecOutcome outcome = await Cri.ExecAsync(container, "/bin/sh", "-c", script);
        outcome.ExitCode.ShouldBe(0, outcome.ErrorOutput);
        await Cri.RemovePodAsync(pod);
        return outcome.Output;
    }

    /// <summary>What containerd asks for by the tag: the digest the proxy indexed.</summary>
    private async Task<string> ManifestOfAsync(string reference) => (await Stack.Cli("notify", reference)).Succeeded().Split(' ')[1];
}
