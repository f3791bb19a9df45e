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
        rig.Proxy.LetGo(image);
        (await begun.Completion).IsSuccess.ShouldBeTrue();
        rig.StateOf("one").ShouldBe(ArrivalState.Present);
    }

    private sealed class OnRelease(Action action) : ArrivalWaiter
    {
        protected override void OnReleased(Error? failure, TimeSpan waited) => action();
    }
}
