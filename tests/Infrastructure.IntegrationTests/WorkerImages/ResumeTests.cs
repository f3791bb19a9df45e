using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>Images whose contents were still arriving when the last daemon stopped.</summary>
public sealed class ResumeTests
{
    private static readonly Error Unreachable = new("Proxy.Unreachable", "not now", ErrorKind.Unavailable);

    private readonly InstantTime _time = new();

    [Fact]
    public async Task Resume_WhenTheProxyComesBack_GoesOn()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync(_time);
        IncomingImage image = await InterruptedAsync(rig);
        int calls = 0;

        rig.Library.ResumeInterrupted(async (chain, source, _) =>
        {
            chain.ShouldBe(image.TopChainId);
            source.Image.Digest.ShouldBe(image.ManifestDigest);
            return ++calls < 3 ? Unreachable : await PullAsync(rig, image);
        });
        await Probe.UntilAsync(() => rig.StateOf("one") == ArrivalState.Present, "the contents arrive");

        calls.ShouldBe(3);
    }

    [Fact]
    public async Task Resume_WhenSomebodyPullsTheImageMeanwhile_LeavesItToThem()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync(_time);
        IncomingImage image = await InterruptedAsync(rig);
        int calls = 0;

        rig.Library.ResumeInterrupted(async (_, _, _) =>
        {
            calls++;
            (await PullAsync(rig, image)).IsSuccess.ShouldBeTrue();
            return Unreachable;
        });
        await Probe.UntilAsync(() => rig.StateOf("one") == ArrivalState.Present && _time.Waits.Count > 0, "the contents arrive by the other pull");
        await rig.Library.DisposeAsync();

        calls.ShouldBe(1);
    }

    [Fact]
    public async Task Resume_WhenWhatItBeganFailsForGood_NobodyWaitsAnyLonger()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync(_time);
        IncomingImage image = await InterruptedAsync(rig);
        rig.StateOf("one").ShouldBe(ArrivalState.Expected);

        rig.Library.ResumeInterrupted(async (_, _, _) =>
        {
            IImageReception reception = (await rig.BeginAsync(image)).Value;
            reception.Start();
            reception.Settle();
            rig.Proxy.Forget(image);
            return Result.Success;
        });

        await Probe.UntilAsync(() => rig.StateOf("one") == ArrivalState.Unavailable, "openers are told");
    }

    [Fact]
    public async Task Release_OfAnInterruptedImage_WithdrawsWhatWasPromisedForIt()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync(_time);
        IncomingImage image = await InterruptedAsync(rig);
        IncomingImage other = rig.Proxy.Add("reg.example.com/other:1", ["b"], File("g", "one"), File("h", "other"));
        IImageReception reception = (await rig.BeginAsync(other)).Value;
        reception.Start();

        await rig.Library.ReleaseAsync(image.TopChainId.ToString(), CancellationToken.None);
        rig.StateOf("one").ShouldBe(ArrivalState.Expected);
        rig.Proxy.Forget(other);
        (await reception.Completion).IsSuccess.ShouldBeFalse();

        rig.StateOf("one").ShouldBe(ArrivalState.Unavailable);
    }

    private static async Task<IncomingImage> InterruptedAsync(LibraryRig rig)
    {
        IncomingImage image = rig.Proxy.Add("reg.example.com/app:1", ["a"], File("f", "one"));
        IImageReception reception = (await rig.BeginAsync(image)).Value;
        reception.Start();
        reception.Settle();
        await rig.RestartAsync();
        return image;
    }

    private static async Task<Result> PullAsync(LibraryRig rig, IncomingImage image)
    {
        IImageReception reception = (await rig.BeginAsync(image)).Value;
        rig.Proxy.LetGo(image);
        reception.Start();
        reception.Settle();
        return Result.Success;
    }
}
