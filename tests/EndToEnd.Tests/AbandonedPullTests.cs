using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Grpc;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>A pull that containerd begins and does not end: its questions reach the daemon's socket from the test.</summary>
[Collection(nameof(StackCollection))]
public sealed class AbandonedPullTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task Image_WhosePullEndedAfterItsFirstLayer_IsGoneAfterTheDaemonsRestart()
    {
        WorkerContents before = await Stack.ContentsAsync();
        string reference = await SampleImage.PushAsync(Stack, "abandoned/app:1", 1, "echo more > more");
        await Stack.NotifyAsync(reference);
        string lowest = await LowestLayerAsync(reference);
        using GrpcChannel snapshotter = GrpcChannel.ForUnixSocket(Stack.SnapshotterSocket, new GrpcPeer("snapshotter", "Snapshotter", "start it"));
        PrepareSnapshotRequest question = new()
        {
            Key = "abandoned",
            Labels = { ["containerd.io/snapshot.ref"] = lowest, ["containerd.io/snapshot/cri.image-ref"] = reference },
        };
        FailureException answer = await Should.ThrowAsync<FailureException>(() => snapshotter.UnaryAsync(SnapshotsMethods.Prepare, question));
        answer.Error.Kind.ShouldBe(ErrorKind.AlreadyExists);
        (await Stack.ContentsAsync()).Trees.ShouldHaveSingleItem();

        // what containerd's garbage collector does once the pull's lease is gone
        await snapshotter.UnaryAsync(SnapshotsMethods.Remove, new RemoveSnapshotRequest { Key = lowest });
        (await Stack.ContentsAsync()).Trees.ShouldHaveSingleItem("nobody knows yet that the pull will not go on");

        await Stack.KillDaemonAsync();
        await Stack.StartDaemonAsync();

        (await Stack.ContentsAsync()).Trees.ShouldBeEmpty();
        await Worker.BecomesAsync(Stack, before);
    }

    [Fact]
    public async Task Image_WhosePullEndedAfterItsFirstLayer_IsTakenUpByTheNextPull()
    {
        WorkerContents before = await Stack.ContentsAsync();
        string reference = await SampleImage.PushAsync(Stack, "abandoned/again:1", 1, "echo more > more");
        await Stack.NotifyAsync(reference);
        using GrpcChannel snapshotter = GrpcChannel.ForUnixSocket(Stack.SnapshotterSocket, new GrpcPeer("snapshotter", "Snapshotter", "start it"));
        PrepareSnapshotRequest question = new()
        {
            Key = "abandoned",
            Labels = { ["containerd.io/snapshot.ref"] = await LowestLayerAsync(reference), ["containerd.io/snapshot/cri.image-ref"] = reference },
        };
        await Should.ThrowAsync<FailureException>(() => snapshotter.UnaryAsync(SnapshotsMethods.Prepare, question));

        await Stack.PullWholeAsync(reference);

        (await Stack.ContentsAsync()).Trees.ShouldHaveSingleItem();
        (await Stack.RunAsync(reference, ["/bin/cat", "/more"])).ShouldBe("more\n");
        await Images.RemoveAsync(Stack, reference);
        await Worker.BecomesAsync(Stack, before);
    }

    /// <summary>Its diff ID is its chain ID.</summary>
    private async Task<string> LowestLayerAsync(string reference)
    {
        ProcessOutcome config = await ProcessRunner.RunAsync("skopeo", ["inspect", "--config", "--tls-verify=false", $"docker://{reference}"]);
        return Starlight.Domain.Images.ImageConfig.Parse(System.Text.Encoding.UTF8.GetBytes(config.Succeeded())).Value.DiffIds[0].ToString();
    }
}
