using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 6: one clear line, a non-zero exit code, nothing left behind.</summary>
[Collection(nameof(StackCollection))]
public sealed class BadInputTests(StackFixture fixture) : StackTest(fixture)
{
    private const int InvalidInput = 2;
    private const int NotFound = 3;
    private const int Unavailable = 4;
    private const int Denied = 5;
    private const int DataCorrupt = 6;
    private const int Interrupted = 130;

    private WorkerContents? _before;

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        _before = await Stack.ContentsAsync();
    }

    /// <summary>Whatever the test did: the worker is as it was. containerd frees in the background, so it is given time.</summary>
    public override async Task DisposeAsync()
    {
        Stack.Relay.Rule = RelayRule.None;
        await LeftNothingAsync();
    }

    [Fact]
    public async Task Notify_OfAnUnknownImage_Fails() =>
        await FailsAsync(NotFound, "bad/absent:1", "notify", "-q", Stack.Reference("bad/absent:1"));

    [Fact]
    public async Task Pull_OfAnUnknownImage_Fails() =>
        await FailsAsync(NotFound, "bad/absent:1", "pull", "-q", Stack.Reference("bad/absent:1"));

    [Fact]
    public async Task Pull_OfAnImageThatIsNotNotified_FailsAndNamesNotify()
    {
        string reference = await SampleImage.PushAsync(Stack, "bad/not-notified:1", 1);
        await FailsAsync(NotFound, "notify", "pull", "-q", reference);
    }

    [Theory]
    [InlineData("pull")]
    [InlineData("notify")]
    public async Task Command_WithAMalformedReference_Fails(string command) =>
        await FailsAsync(InvalidInput, "UPPER/case:!", command, "-q", "127.0.0.1:1/UPPER/case:!");

    [Fact]
    public async Task Command_WhenTheProxyIsDown_Fails()
    {
        string reference = await NotifiedAsync("bad/proxy-down:1");
        await Stack.StopProxyAsync();
        try
        {
            await FailsAsync(Unavailable, "proxy", "pull", "-q", reference);
            await FailsAsync(Unavailable, "proxy", "notify", "-q", reference);
            await FailsAsync(Unavailable, "proxy", "test");
        }
        finally
        {
            await Stack.StartProxyAsync();
        }

        await PullsAsync(reference);
    }

    [Fact]
    public async Task Notify_WhenTheRegistryIsDown_Fails()
    {
        string reference = await SampleImage.PushAsync(Stack, "bad/registry-down:1", 1);
        await Stack.Registry.StopAsync();
        try
        {
            await FailsAsync(Unavailable, Stack.Registry.Host, "notify", "-q", reference);
        }
        finally
        {
            await Stack.Registry.RestartAsync();
        }

        await FailsAsync(NotFound, "notify", "pull", "-q", reference);
    }

    /// <param name="place">4: the time in the gzip header, which changes nothing but the digest. -1: in the middle of the data.</param>
    [Theory]
    [InlineData(4)]
    [InlineData(-1)]
    public async Task Notify_OfABlobWithAnotherDigest_FailsAndCanBeRepeated(int place)
    {
        string reference = await SampleImage.PushAsync(Stack, $"bad/blob:at{place}", 1);
        string blob = LargestBlob();
        byte[] right = await File.ReadAllBytesAsync(blob);
        byte[] wrong = [.. right];
        wrong[place < 0 ? wrong.Length / 2 : place] ^= 1;
        await File.WriteAllBytesAsync(blob, wrong);
        await FailsAsync(DataCorrupt, Path.GetFileName(Path.GetDirectoryName(blob)!), "notify", "-q", reference);
        await FailsAsync(NotFound, "notify", "pull", "-q", reference);

        await File.WriteAllBytesAsync(blob, right);
        await Stack.NotifyAsync(reference);
        await PullsAsync(reference);
    }

    [Fact]
    public async Task Pull_OfABundleCutShort_GoesOnWhenItCan()
    {
        string reference = await NotifiedAsync("bad/cut-once:1");
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length * 2 / 3 };
        using ChildProcess pull = Stack.StartCli("pull", "-q", "--disable-early-start", reference);

        // all but the last content, which is half of the bundle; what a reset connection had in its buffers does not count as received
        string received = Path.Combine(Stack.ObjectsDirectory, bundle.Contents[^2].Digest.ObjectPath);
        await Probe.UntilAsync(() => File.Exists(received), "the first half has been received");
        Stack.Relay.Rule = new RelayRule { CutAfter = 0 };
        await Probe.UntilAsync(() => Stack.Relay.Cuts >= 2, "the stream is cut twice");
        pull.HasExited.ShouldBeFalse();

        Stack.Relay.Rule = RelayRule.None;
        (await pull.WaitAsync(TimeSpan.FromSeconds(60))).ExitCode.ShouldBe(0);

        // Not begun anew: only what had not come.
        Stack.Relay.Delivered.ShouldBeLessThan(bundle.Length * 3 / 4);
        (await Stack.RunAsync(reference, ["/bin/cat", "/zz/0"])).Length.ShouldBe(SampleImage.LargeFile);
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Pull_OfABundleThatStaysCut_NeverSucceedsAndCanBeInterrupted()
    {
        string reference = await NotifiedAsync("bad/cut-always:1");
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        Stack.Relay.Rule = new RelayRule { CutAfter = bundle.Length / 2 };
        using ChildProcess pull = Stack.StartCli("pull", "-q", "--disable-early-start", reference);
        await Probe.UntilAsync(() => Stack.Relay.Cuts >= 4, "the stream is cut four times");
        pull.HasExited.ShouldBeFalse();

        Tool.Run("kill", ["-INT", $"{pull.Pid}"]);
        ProcessOutcome outcome = await pull.WaitAsync(TimeSpan.FromSeconds(30));
        outcome.ExitCode.ShouldBe(Interrupted);
        outcome.ErrorOutput.ShouldBe("ctr-starlight: interrupted\n");
    }

    [Fact]
    public async Task Pull_OfABundleCutWithinItsMetadata_Fails()
    {
        string reference = await NotifiedAsync("bad/cut-early:1");
        Stack.Relay.Rule = new RelayRule { CutAfter = (await DeltaOf.ImageAsync(Stack, reference)).HeaderLength / 2 };
        await FailsAsync(Unavailable, "", "pull", "-q", reference);
    }

    [Fact]
    public async Task Pull_OfABundleWithAFlippedBit_AsksAgainAndSucceeds()
    {
        string reference = await NotifiedAsync("bad/flip-once:1");
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        long place = bundle.Length / 2;
        bool flipped = false;
        Stack.Relay.Rule = new RelayRule { Flip = (_, offset) => offset == place && !flipped && (flipped = true) };
        await Stack.PullWholeAsync(reference);

        flipped.ShouldBeTrue();
        Stack.Logs.Split('\n').ShouldContain(line => line.Contains($"receiving {reference} was interrupted (the bundle is damaged at offset "));
        (await Stack.RunAsync(reference, ["/bin/cat", "/zz/0"])).Length.ShouldBe(SampleImage.LargeFile);
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Pull_OfABundleThatStaysDamaged_Fails()
    {
        string reference = await NotifiedAsync("bad/flip-always:1");
        Stack.Relay.Rule = await DamagedAsync(reference);
        await FailsAsync(DataCorrupt, "", "pull", "-q", "--disable-early-start", reference);
    }

    [Fact]
    public async Task Open_OfAFileThatStaysDamaged_FailsWithAnInputOutputError()
    {
        string reference = await NotifiedAsync("bad/flip-open:1");
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        Stack.Relay.Rule = await DamagedAsync(reference, bundle.Length - 500_000);
        (await Stack.Cli("pull", "-q", reference)).Succeeded();

        ProcessOutcome cat = await Stack.Ctr("run", "--rm", "--snapshotter", StarlightStack.Snapshotter, reference, Stack.NewName("run"), "/bin/cat", "/zz/0");

        cat.ExitCode.ShouldNotBe(0);
        cat.ErrorOutput.ShouldContain("Input/output error");
        cat.Output.ShouldBeEmpty();
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Command_WithoutPermissionForTheSocket_Fails()
    {
        ProcessOutcome outcome = await Stack.CliAsNobody("pull", "-q", Stack.Reference("bad/nobody:1"));
        OneLine(outcome, Denied, Stack.DaemonSocket);
    }

    [Fact]
    public async Task Command_WhenTheDaemonIsNotRunning_Fails()
    {
        await Stack.StopDaemonAsync();
        try
        {
            await FailsAsync(Unavailable, Stack.DaemonSocket, "pull", "-q", Stack.Reference("bad/no-daemon:1"));
        }
        finally
        {
            await Stack.StartDaemonAsync();
        }
    }

    [Fact]
    public async Task Pull_WhenContainerdIsNotRunning_FailsAndAsksTheProxyForNothing()
    {
        string reference = await NotifiedAsync("bad/no-containerd:1");
        await Stack.Containerd.StopAsync();
        try
        {
            int requests = Stack.Relay.Requests.Count;
            await FailsAsync(Unavailable, Stack.Containerd.Address, "pull", "-q", reference);
            Stack.Relay.Requests.Count.ShouldBe(requests);
        }
        finally
        {
            await Stack.Containerd.RestartAsync();
        }

        await PullsAsync(reference);
    }

    private async Task<string> NotifiedAsync(string repositoryAndTag)
    {
        string reference = await SampleImage.PushAsync(Stack, repositoryAndTag, 1);
        await Stack.NotifyAsync(reference);
        return reference;
    }

    /// <summary>The failure was not the end: the same thing works once its reason is gone.</summary>
    private async Task PullsAsync(string reference)
    {
        await Stack.PullWholeAsync(reference);
        (await Stack.RunAsync(reference, ["/bin/sh", "-c", "echo works"])).ShouldBe("works\n");
        await Images.RemoveAsync(Stack, reference);
    }

    /// <summary>Every block beyond a place in the bundle is damaged on every connection; its metadata is not. Answers that go on elsewhere have a head of less than 1,000 bytes.</summary>
    private async Task<RelayRule> DamagedAsync(string reference, long? from = null)
    {
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        long first = from ?? bundle.HeaderLength + 2_000;
        return new RelayRule { Flip = (connection, offset) => offset % 1_000 == 0 && offset >= (connection == 0 ? first : 1_000) };
    }

    private async Task FailsAsync(int exitCode, string mentions, params string[] arguments) => OneLine(await Stack.Cli(arguments), exitCode, mentions);

    private void OneLine(ProcessOutcome outcome, int exitCode, string mentions)
    {
        outcome.Output.ShouldBeEmpty();
        outcome.ErrorOutput.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(1, outcome.ErrorOutput);
        outcome.ErrorOutput.ShouldStartWith("ctr-starlight: ");
        outcome.ErrorOutput.ShouldContain(mentions, Case.Insensitive, Stack.Logs);
        outcome.ExitCode.ShouldBe(exitCode, outcome.ErrorOutput);
    }

    private async Task LeftNothingAsync()
    {
        WorkerContents now = await Stack.ContentsAsync();
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        while (now.ToString() != _before!.ToString() && System.Diagnostics.Stopwatch.GetElapsedTime(started) < Probe.DefaultDeadline)
        {
            await Task.Delay(50);
            now = await Stack.ContentsAsync();
        }

        now.ToString().ShouldBe(_before!.ToString());
    }

    /// <summary>The file of the largest blob that was pushed last: <c>…/blobs/sha256/ab/abcd…/data</c>.</summary>
    private string LargestBlob() => Directory.EnumerateFiles(Stack.Registry.StorageDirectory, "data", SearchOption.AllDirectories)
        .Select(path => new FileInfo(path))
        .Where(file => file.Length > 1_000_000)
        .MaxBy(file => file.LastWriteTimeUtc)!
        .FullName;
}
