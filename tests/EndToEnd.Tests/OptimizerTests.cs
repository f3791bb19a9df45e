using System.Security.Cryptography;
using System.Text;
using Starlight.Domain.Content;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 5: what containers of a complete image open comes first, also where they cannot start early.</summary>
public abstract class TracedContainerTests(StackFixture fixture) : StackTest(fixture)
{
    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        (await Stack.Cli("optimizer", "off")).Succeeded();
        _ = await Stack.Cli("report");
    }

    [Fact]
    public async Task Report_OfATracedContainer_PutsWhatItOpenedFirst()
    {
        string reference = await SampleImage.PushAsync(Stack, $"order/first:{Fixture.GetType().Name.ToLowerInvariant()}");
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);
        DeltaOf before = await DeltaOf.ImageAsync(Stack, reference);

        (await Stack.Cli("optimizer", "on")).Succeeded().ShouldContain("optimizer on");
        Digest late = new(SHA256.HashData(Encoding.Latin1.GetBytes(await Stack.RunAsync(reference, ["/bin/cat", "/zz/3"]))));
        before.Contents[^1].Digest.ShouldBe(late, "path order puts it last");
        string off = (await Stack.Cli("optimizer", "off")).Succeeded();
        off.ShouldContain("1 wait to be reported");
        (await Stack.Cli("optimizer", "status")).Succeeded().ShouldContain(reference);
        (await Stack.Cli("report")).Succeeded().ShouldContain($"{reference}: 1 traces reported");

        DeltaOf after = await DeltaOf.ImageAsync(Stack, reference);
        after.Contents.First(c => c.Size == SampleImage.LargeFile).Digest.ShouldBe(late, "of the four large files the one that was opened comes first");
        after.Digests.Order().ShouldBe(before.Digests.Order());
        (await Stack.Cli("report")).Succeeded().ShouldContain("no traces wait");
        string order = (await Stack.Cli("order", "show", reference)).Succeeded();
        order.ShouldContain("from 1 traces");
        order.ShouldContain("/zz/3");
        order.ShouldNotContain("/zz/0");
        await Images.RemoveAsync(Stack, reference);
    }
}

/// <summary>Issue 5: everything about the optimizer, where containers start early.</summary>
public abstract class OptimizerTests(StackFixture fixture) : TracedContainerTests(fixture)
{
    [Fact]
    public async Task Daemon_KilledWhileTracing_KeepsTheSwitchAndWhatItHasSeen()
    {
        string reference = await PulledAsync("killed");
        (await Stack.Cli("optimizer", "on", "--group", "shop")).Succeeded();
        string container = await Stack.StartContainerAsync(reference, ["/bin/sh", "-c", "cat /zz/2 > /dev/null; exec /bin/sleep 1000"]);
        string traces = Path.Combine(Stack.FsRoot, "traces");
        await Probe.UntilAsync(() => Directory.GetFiles(traces, "*.open").Any(f => File.ReadLines(f).Count() > 2), "what was opened is in the file");

        await Stack.KillDaemonAsync();
        await Stack.StartDaemonAsync();

        string status = (await Stack.Cli("optimizer", "status")).Succeeded();
        status.ShouldStartWith("optimizer on, group shop\n");
        status.ShouldContain($"waiting to be reported 1\n  {reference}");
        await Stack.RemoveContainerAsync(container);
        (await Stack.Cli("optimizer", "off")).Succeeded();
        (await Stack.Cli("report")).Succeeded().ShouldContain($"{reference}: 1 traces reported");
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Report_WhenTheProxyIsDown_KeepsTheTraces()
    {
        string reference = await PulledAsync("down");
        (await Stack.Cli("optimizer", "on")).Succeeded();
        await Stack.RunAsync(reference, ["/bin/ls", "/zz"]);
        (await Stack.Cli("optimizer", "off")).Succeeded();

        await Stack.StopProxyAsync();
        ProcessOutcome refused = await Stack.Cli("report");
        await Stack.StartProxyAsync();

        refused.ExitCode.ShouldBe(4);
        refused.ErrorOutput.ShouldContain("cannot be reached");
        (await Stack.Cli("report")).Succeeded().ShouldContain($"{reference}: 1 traces reported");
        await Images.RemoveAsync(Stack, reference);
    }

    [Theory]
    [InlineData("'' cannot name a group", "optimizer", "on", "--group", "")]
    [InlineData("'a b' cannot name a group", "optimizer", "on", "--group", "a b")]
    [InlineData("there is no proxy profile 'nope'", "report", "--profile", "nope")]
    public async Task WrongInput_IsSaidAndChangesNothing(string message, params string[] command)
    {
        ProcessOutcome refused = await Stack.Cli(command);

        refused.ExitCode.ShouldBeOneOf(2, 3);
        refused.ErrorOutput.ShouldContain(message);
        (await Stack.Cli("optimizer", "status")).Succeeded().ShouldStartWith("optimizer off\n");
    }

    /// <summary>The proxy has stored the trace, the worker never hears of it and dies: the next report is of the same trace, and the proxy knows.</summary>
    [Fact]
    public async Task Report_WhenTheDaemonIsKilledBeforeTheAnswer_CountsTheTraceOnce()
    {
        string reference = await PulledAsync("answer");
        (await Stack.Cli("optimizer", "on")).Succeeded();
        await Stack.RunAsync(reference, ["/bin/cat", "/zz/2"]);
        (await Stack.Cli("optimizer", "off")).Succeeded();
        try
        {
            Stack.Relay.Rule = new RelayRule { HoldAfter = 0, Only = "/starlight/report" };
            using ChildProcess report = Stack.StartCli("report");
            await OrderIsFromATraceAsync(reference);
            await Stack.KillDaemonAsync();
            (await report.WaitAsync(TimeSpan.FromMinutes(1))).ExitCode.ShouldNotBe(0);
        }
        finally
        {
            Stack.Relay.Rule = RelayRule.None;
        }

        await Stack.StartDaemonAsync();

        (await Stack.Cli("optimizer", "status")).Succeeded().ShouldContain("waiting to be reported 1");
        (await Stack.Cli("report")).Succeeded().ShouldContain($"{reference}: 1 traces reported");
        (await Stack.Cli("optimizer", "status")).Succeeded().ShouldContain("waiting to be reported 0");
        (await Stack.Cli("order", "show", reference)).Succeeded().ShouldContain("from 1 traces");
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Label_OnASnapshot_TracesTheContainerAndReportsByItself()
    {
        string reference = await PulledAsync("label");

        await Stack.RunAsync(reference, ["/bin/cat", "/zz/1"], StarlightStack.Snapshotter, "--snapshotter-label", "containerd.io/snapshot/starlight.trace=on");

        // containerd tells the snapshotter of the container's end when it collects
        await Images.RemoveAsync(Stack, reference);
        await OrderIsFromATraceAsync(reference);
    }

    /// <summary>Without any command: the next worker gets first what this one had to wait for.</summary>
    [Fact]
    public async Task Pull_WhenAContainerWaitedForWhatCameLast_TeachesTheNextPull()
    {
        string reference = await SampleImage.PushAsync(Stack, $"order/online:{Mode}");
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        try
        {
            // held until the container has ended: what it waits for comes beside the stream
            Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length - 2_200_000, Only = "/starlight/delta" };
            (await Stack.Cli("pull", reference)).Succeeded().ShouldContain("ready to start after");
            (await Stack.RunAsync(reference, ["/bin/cat", "/zz/3"])).Length.ShouldBe(SampleImage.LargeFile);
        }
        finally
        {
            Stack.Relay.Rule = RelayRule.None;
        }

        await Stack.PullWholeAsync(reference);
        await Images.RemoveAsync(Stack, reference);
        await OrderIsFromATraceAsync(reference);
    }

    [Fact]
    public async Task Pull_OfTwoImagesTracedAsAGroup_SendsWhatBothOpenFirstAndSharedContentsOnce()
    {
        string web = await Stack.PushTinyAsync($"order/web:{Mode}", SharedLayer(), "mkdir -p a; echo web > a/web; head -c 3000000 /dev/urandom > a/cold");
        string data = await Stack.PushTinyAsync($"order/data:{Mode}", SharedLayer(), "mkdir -p a; echo data > a/data; head -c 3000000 /dev/urandom > a/cold");
        await Stack.NotifyAsync(web);
        await Stack.NotifyAsync(data);
        await Stack.PullWholeAsync(web, data);
        (await Stack.Cli("optimizer", "on", "--group", "shop")).Succeeded();
        (await Stack.RunAsync(data, ["/bin/cat", "/a/data"])).ShouldBe("data\n");
        (await Stack.RunAsync(web, ["/bin/cat", "/a/web"])).ShouldBe("web\n");
        (await Stack.Cli("optimizer", "off")).Succeeded();
        (await Stack.Cli("report")).Succeeded();
        (await Stack.Cli("order", "show", web)).Succeeded().ShouldContain("groups shop");
        await Images.RemoveAsync(Stack, web, data);

        string platform = Uri.EscapeDataString(Starlight.Domain.Images.Platform.Local.ToString());
        DeltaOf joint = await DeltaOf.RequestAsync(Stack, $"/starlight/delta?platform={platform}&to={web}&to={data}");
        List<Digest> order = [.. joint.Digests];
        (int webAt, int dataAt) = (order.IndexOf(Digest.Of("web\n"u8)), order.IndexOf(Digest.Of("data\n"u8)));
        order.Distinct().Count().ShouldBe(order.Count, "shared contents are sent once");
        dataAt.ShouldBeLessThan(webAt, "its container was started first");
        joint.Contents.Take(webAt).ShouldAllBe(c => c.Size != 3_000_000);

        string pulled = (await Stack.Cli("pull", "--disable-early-start", web, data)).Succeeded();
        pulled.ShouldContain(web);
        pulled.ShouldContain(data);
        (await Stack.RunAsync(web, ["/bin/cat", "/a/web"])).ShouldBe("web\n");
        (await Stack.RunAsync(data, ["/bin/cat", "/a/data"])).ShouldBe("data\n");
        await Images.RemoveAsync(Stack, web, data);

        static string SharedLayer() => "mkdir bin; cp -L /bin/cat bin/; cp -L /bin/sh bin/";
    }

    private string Mode => Fixture.GetType().Name.ToLowerInvariant();

    private async Task<string> PulledAsync(string tag)
    {
        string reference = await SampleImage.PushAsync(Stack, $"order/{tag}:{Mode}");
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);
        return reference;
    }

    private async Task OrderIsFromATraceAsync(string reference)
    {
        try
        {
            await Probe.UntilAsync(async () => (await Stack.Cli("order", "show", reference)).Succeeded().Contains("from 1 traces", StringComparison.Ordinal), "the trace is reported");
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{(await Stack.Cli("optimizer", "status")).Output}\n{Stack.Logs}", e);
        }
    }
}

/// <summary>Where containers stand on directory trees, nothing can be seen: that is said, and nothing breaks.</summary>
public abstract class NoOptimizerTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task OptimizerOn_IsRefusedWithTheReason_AndALabelIsIgnored()
    {
        string reference = await SampleImage.PushAsync(Stack, $"order/none:{Fixture.GetType().Name.ToLowerInvariant()}");
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);

        ProcessOutcome refused = await Stack.Cli("optimizer", "on");

        refused.ExitCode.ShouldBe(9);
        refused.ErrorOutput.ShouldContain("cannot be seen on this worker");
        (await Stack.Cli("optimizer", "status")).Succeeded().ShouldStartWith("optimizer off\n");
        (await Stack.RunAsync(reference, ["/bin/ls", "/zz"], StarlightStack.Snapshotter, "--snapshotter-label", "containerd.io/snapshot/starlight.trace=on")).ShouldBe("0\n1\n2\n3\n");
        Stack.Logs.ShouldContain("asks for a trace, which is ignored");
        await Images.RemoveAsync(Stack, reference);
    }
}

[Collection(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeOptimizerTests(DirectoryTreeFixture fixture) : NoOptimizerTests(fixture);

[Collection(nameof(NoEarlyStartCollection))]
public sealed class NoEarlyStartTracedContainerTests(NoEarlyStartFixture fixture) : TracedContainerTests(fixture);

[Collection(nameof(StackCollection))]
public sealed class SingleOverlayOptimizerTests(StackFixture fixture) : OptimizerTests(fixture);

[Collection(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayOptimizerTests(NestedOverlayFixture fixture) : OptimizerTests(fixture);
