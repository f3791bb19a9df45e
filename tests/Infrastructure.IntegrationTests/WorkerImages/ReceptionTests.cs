using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>Receptions that end before everything has arrived, and who goes on without them.</summary>
public sealed class ReceptionTests
{
    [Fact]
    public async Task Release_WhileAPullOfTheImageBegins_LeavesThatPullItsOwnReception()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage image = rig.Proxy.Add("reg.example.com/app:1", ["a"], File("f", "one"));
        IImageReception released = (await rig.BeginAsync(image)).Value;
        released.Start();
        released.Settle();
        IImageReception? begun = null;
        rig.Board.Wait(Digest.Of(BytesOf("one")), new OnRelease(() => begun = rig.BeginAsync(image).GetAwaiter().GetResult().Value)).ShouldBe(ArrivalState.Expected);

        await rig.Library.ReleaseAsync(image.TopChainId.ToString(), CancellationToken.None);

        begun.ShouldNotBeNull("the opener was told that the image goes").Start();
        begun.Settle();
        await released.AbandonAsync(); // whoever waited for it sees that it failed
        rig.Proxy.LetGo(image);
        (await begun.Completion).IsSuccess.ShouldBeTrue();
        rig.StateOf("one").ShouldBe(ArrivalState.Present);
        rig.Library.ListQuiet(TimeSpan.Zero).ShouldBe([image.TopChainId.ToString()]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Open_WhenOneOfTwoReceptionsIsGivenUpAndTheOtherFails_IsTold(bool released)
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage first = rig.Proxy.Add("reg.example.com/first:1", ["a"], File("f", "common"));
        IncomingImage second = rig.Proxy.Add("reg.example.com/second:1", ["b"], File("g", "common"), File("h", "own"));
        IImageReception ofFirst = (await rig.BeginAsync(first)).Value;
        IImageReception ofSecond = (await rig.BeginAsync(second)).Value;
        ofFirst.Start();
        ofSecond.Start();

        if (released)
        {
            ofSecond.Settle();
            await rig.Library.ReleaseAsync(second.TopChainId.ToString(), CancellationToken.None);
        }
        else
        {
            await ofSecond.AbandonAsync();
        }

        rig.StateOf("common").ShouldBe(ArrivalState.Expected);
        rig.StateOf("own").ShouldBe(ArrivalState.Unavailable);
        rig.Proxy.Forget(first);
        (await ofFirst.Completion).IsSuccess.ShouldBeFalse();
        rig.StateOf("common").ShouldBe(ArrivalState.Unavailable);
    }

    [Fact]
    public async Task Completion_WhenOneOfTwoImagesIsRemovedMeanwhile_IsThatOfTheOther()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage kept = rig.Proxy.Add("reg.example.com/kept:1", ["a"], File("f", "common"));
        IncomingImage removed = rig.Proxy.Add("reg.example.com/removed:1", ["b"], File("f", "common"), File("g", "own"));
        IImageReception reception = (await rig.BeginAsync(kept, removed)).Value;
        reception.Start();
        reception.Settle();

        await rig.Library.ReleaseAsync(removed.TopChainId.ToString(), CancellationToken.None);
        rig.Proxy.LetGo(kept);

        (await reception.Completion).IsSuccess.ShouldBeTrue();
        Directory.Exists(Path.Combine(rig.Layout.ImagesDirectory, kept.TopChainId.Hex, "tree")).ShouldBeTrue();
        Directory.Exists(Path.Combine(rig.Layout.ImagesDirectory, removed.TopChainId.Hex)).ShouldBeFalse();
        rig.Objects.Enumerate().ShouldBe([Digest.Of(BytesOf("common"))]);
    }

    [Fact]
    public async Task Release_WhileAnotherPullIsAboutToMakeASnapshot_FreesNothing()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage image = rig.Proxy.Add("reg.example.com/app:1", ["a", "b"], File("f", "one"));
        IImageReception first = (await rig.BeginAsync(image)).Value;
        IImageReception second = (await rig.BeginAsync(image)).Value;
        first.Settle();

        await ReleaseAsync();
        rig.Library.ListQuiet(TimeSpan.Zero).Count.ShouldBe(2);
        second.Settle();
        await ReleaseAsync();

        rig.Library.ListQuiet(TimeSpan.Zero).ShouldBeEmpty();
        rig.StateOf("one").ShouldBe(ArrivalState.Unavailable);

        async Task ReleaseAsync()
        {
            foreach (Digest chain in image.ChainIds)
            {
                await rig.Library.ReleaseAsync(chain.ToString(), CancellationToken.None);
            }
        }
    }

    private sealed class OnRelease(Action action) : ArrivalWaiter
    {
        protected internal override void OnReleased(Error? failure, TimeSpan waited) => action();
    }
}
