using System.Text;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>Contents that belong to no image, because a daemon was killed between storing them and recording their image.</summary>
public sealed class SweepTests
{
    [Fact]
    public async Task Start_AfterACrash_RemovesWhatBelongsToNoImage()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage image = rig.Proxy.Add("reg.example.com/app:1", ["layer"], File("kept", "kept"));
        await rig.PullAsync(image);
        Digest orphan = Store(rig, "orphan");

        // Without a sweep there is no mark, as after a kill.
        await rig.RestartAsync();
        System.IO.File.Exists(rig.Layout.SweptFile).ShouldBeFalse();
        rig.Library.ResumeInterrupted((_, _, _) => Task.FromResult(Result.Success));
        await Probe.UntilAsync(() => !rig.Objects.Contains(orphan), "the orphan is removed");

        rig.StateOf("kept").ShouldBe(ArrivalState.Present);
    }

    [Fact]
    public async Task Start_AfterACleanStop_DoesNotGoThroughTheStore()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        await SweepAsync(rig);
        await rig.Library.DisposeAsync();
        System.IO.File.Exists(rig.Layout.SweptFile).ShouldBeTrue();
        await rig.RestartAsync();
        System.IO.File.Exists(rig.Layout.SweptFile).ShouldBeFalse();
        Digest unknown = Store(rig, "unknown");
        rig.Library.ResumeInterrupted((_, _, _) => Task.FromResult(Result.Success));

        // Waits for everything that was begun.
        await rig.Library.DisposeAsync();
        rig.Objects.Contains(unknown).ShouldBeTrue();
    }

    [Fact]
    public async Task Start_WhenARecordHadToBeGivenUp_SweepsAlthoughTheStopWasClean()
    {
        await using LibraryRig rig = await LibraryRig.StartAsync();
        IncomingImage image = rig.Proxy.Add("reg.example.com/app:1", ["layer"], File("lost", "lost"));
        await rig.PullAsync(image);
        await SweepAsync(rig);
        await rig.Library.DisposeAsync();
        foreach (string directory in Directory.EnumerateDirectories(rig.Layout.ImagesDirectory))
        {
            Directory.Delete(directory, recursive: true);
        }

        await rig.RestartAsync();
        rig.Library.ResumeInterrupted((_, _, _) => Task.FromResult(Result.Success));
        await Probe.UntilAsync(() => rig.StateOf("lost") != ArrivalState.Present, "what the lost tree had brought is removed");
    }

    private static async Task SweepAsync(LibraryRig rig)
    {
        Digest orphan = Store(rig, "first orphan");
        rig.Library.ResumeInterrupted((_, _, _) => Task.FromResult(Result.Success));
        await Probe.UntilAsync(() => !rig.Objects.Contains(orphan), "the store is swept");
    }

    private static Digest Store(LibraryRig rig, string content)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(content);
        Digest digest = Digest.Of(bytes);
        rig.Objects.Put(digest, bytes);
        return digest;
    }
}
