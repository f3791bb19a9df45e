using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Starlight.Domain.Content;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 3: a container runs while its content is still on its way.</summary>
[Collection(nameof(StackCollection))]
public class EarlyStartTests(StackFixture fixture) : StackTest(fixture)
{
    /// <summary>More than the last large file takes on the wire, less than the last two.</summary>
    private const long Withheld = 2_200_000;

    [Fact]
    public async Task Run_WhileTheStreamIsHeld_PrintsBeforeTheLastByteIsSent()
    {
        await using Held held = await Held.PullAsync(Stack, "early/print:1");

        string output = await Stack.RunAsync(held.Reference, ["/bin/sh", "-c", "echo started"]);

        output.ShouldBe("started\n");
        Stack.Relay.Delivered.ShouldBe(held.HeldAt, "nothing more may have come through meanwhile");
        Stack.Relay.Delivered.ShouldBeLessThan(held.Bundle.Length);
    }

    [Fact]
    public async Task Run_WhenTheStreamIsSlow_PrintsBeforeTheLastByteIsSent()
    {
        string reference = await SampleImage.PushAsync(Stack, "early/slow:1");
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        try
        {
            Stack.Relay.Rule = new RelayRule { BytesPerSecond = 400_000 };
            (await Stack.Cli("pull", reference)).Succeeded().ShouldContain("ready to start after");
            string output = await Stack.RunAsync(reference, ["/bin/sh", "-c", "echo started"]);
            long delivered = Stack.Relay.Delivered;

            output.ShouldBe("started\n");
            delivered.ShouldBeLessThan(bundle.Length);
        }
        finally
        {
            Stack.Relay.Rule = RelayRule.None;
            await Stack.PullWholeAsync(reference);
            await Images.RemoveAsync(Stack, reference);
        }
    }

    [Fact]
    public async Task Open_OfAFileOnItsWay_WaitsAndReadsTheRightBytes()
    {
        await using Held held = await Held.PullAsync(Stack, "early/open:1");
        Digest expected = held.Bundle.Contents[^1].Digest;
        File.Exists(Path.Combine(Stack.ObjectsDirectory, expected.ObjectPath)).ShouldBeFalse();
        string container = await Stack.StartContainerAsync(held.Reference, ["/bin/sleep", "1000"]);
        using LoggedCtr reader = Stack.StartExec(container, "/bin/cat", "/zz/3");
        WaitingProcess process = await WaitingProcess.InOpenAsync(await Stack.PidOfAsync(container), "/bin/cat", "/zz/3");
        process.HasEnded.ShouldBeFalse();

        Stack.Relay.Rule = RelayRule.None;

        string output = (await reader.WaitAsync(TimeSpan.FromSeconds(60))).Succeeded();
        output.Length.ShouldBe(SampleImage.LargeFile);
        new Digest(SHA256.HashData(Encoding.Latin1.GetBytes(output))).ShouldBe(expected);
        await Stack.RemoveContainerAsync(container);
    }

    /// <summary>The bundle's connection stands still before the file's block: it comes on another one.</summary>
    [Fact]
    public async Task Open_OfAFileFarBack_DoesNotWaitForTheStream()
    {
        await using Held held = await Held.PullAsync(Stack, "early/jump:1", only: "/starlight/delta");
        Digest expected = held.Bundle.Contents[^1].Digest;

        string output = await Stack.RunAsync(held.Reference, ["/bin/cat", "/zz/3"]);

        new Digest(SHA256.HashData(Encoding.Latin1.GetBytes(output))).ShouldBe(expected);
        Stack.Relay.Delivered.ShouldBe(held.HeldAt, "the stream must not have come any further");
        Stack.Relay.Requests[^1].ShouldStartWith($"GET /starlight/contents/{expected}?");
        File.Exists(Path.Combine(Stack.ObjectsDirectory, held.Bundle.Contents[^2].Digest.ObjectPath)).ShouldBeFalse("nobody asked for the one before it");

        // What is there already is no obstacle for the stream.
        Stack.Relay.Rule = RelayRule.None;
        await Stack.PullWholeAsync(held.Reference);
        (await Stack.RunAsync(held.Reference, ["/bin/cat", "/zz/2"])).Length.ShouldBe(SampleImage.LargeFile);
    }

    [Theory]
    [InlineData(WaitingProcess.SigKill)]
    [InlineData(WaitingProcess.SigTerm)]
    public async Task Open_OfAFileOnItsWay_CanBeKilled(int signal)
    {
        await using Held held = await Held.PullAsync(Stack, $"early/kill:{signal}");
        string container = await Stack.StartContainerAsync(held.Reference, ["/bin/sleep", "1000"]);
        using LoggedCtr reader = Stack.StartExec(container, "/bin/cat", "/zz/3");
        WaitingProcess process = await WaitingProcess.InOpenAsync(await Stack.PidOfAsync(container), "/bin/cat", "/zz/3");

        long killed = Stopwatch.GetTimestamp();
        process.Signal(signal);
        await Probe.UntilAsync(() => process.HasEnded, $"the process ends after signal {signal}");

        Stopwatch.GetElapsedTime(killed).ShouldBeLessThan(TimeSpan.FromSeconds(2));
        (await reader.WaitAsync(TimeSpan.FromSeconds(30))).ExitCode.ShouldBe(128 + signal);

        // Others are not disturbed: the same file can still be waited for and read.
        Stack.Relay.Rule = RelayRule.None;
        (await Stack.RunAsync(held.Reference, ["/bin/cat", "/zz/3"])).Length.ShouldBe(SampleImage.LargeFile);
        await Stack.RemoveContainerAsync(container);
    }

    /// <summary>An image that has been pulled all but its end.</summary>
    private sealed class Held : IAsyncDisposable
    {
        private readonly StarlightStack _stack;

        private Held(StarlightStack stack, string reference, DeltaOf bundle) => (_stack, Reference, Bundle) = (stack, reference, bundle);

        public string Reference { get; }

        public DeltaOf Bundle { get; }

        public long HeldAt => Bundle.Length - Withheld;

        public static async Task<Held> PullAsync(StarlightStack stack, string repositoryAndTag, string? only = null)
        {
            string reference = await SampleImage.PushAsync(stack, repositoryAndTag);
            await stack.NotifyAsync(reference);

            // Asked for first, so that the proxy has it as a file; what is held is a bundle of exactly this length.
            Held held = new(stack, reference, await DeltaOf.ImageAsync(stack, reference));
            stack.Relay.Rule = new RelayRule { HoldAfter = held.HeldAt, Only = only };
            (await stack.Cli("pull", reference)).Succeeded().ShouldContain("ready to start after");
            await Probe.UntilAsync(() => stack.Relay.Delivered == held.HeldAt, "the relay holds the stream");
            return held;
        }

        public async ValueTask DisposeAsync()
        {
            _stack.Relay.Rule = RelayRule.None;
            await _stack.PullWholeAsync(Reference);
            await Images.RemoveAsync(_stack, Reference);
        }
    }
}
