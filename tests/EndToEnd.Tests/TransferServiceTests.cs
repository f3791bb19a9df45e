using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>
/// Issue 3, point 5: from containerd 2.1 on, pulls can go through the transfer service, which names the image to the snapshotter only if the plugin's <c>exports</c> say so.
/// A stack of its own: its CRI plugin leaves naming to the service.
/// </summary>
[Collection(nameof(StackCollection))]
public sealed class TransferServiceTests
{
    [ContainerdFact(2, 1)]
    public async Task Pull_ThroughTheTransferService_FetchesNoLayer()
    {
        await using StarlightStack stack = await StarlightStack.StartAsync(cri: true, criAnnotations: false);
        await using CriClient cri = new(stack.Containerd.Address);
        await stack.PushPauseAsync();
        string byCtr = await SampleImage.PushAsync(stack, "transfer/ctr:1", 1, "echo ctr > which");
        string byCri = await SampleImage.PushAsync(stack, "transfer/cri:1", 1, "echo cri > which");
        await stack.NotifyAsync(byCtr);
        await stack.NotifyAsync(byCri);

        (await stack.Ctr("images", "pull", "--plain-http", "--snapshotter", StarlightStack.Snapshotter, byCtr)).Succeeded();
        Trees(stack).ShouldBe(1);
        (await stack.RunAsync(byCtr, ["/bin/cat", "/which"])).ShouldBe("ctr\n");

        await cri.PullAsync(byCri);
        Trees(stack).ShouldBe(2);
        string container = await cri.StartContainerAsync(await cri.RunPodAsync(), byCri, ["/bin/sleep", "1000"]);
        (await cri.ExecAsync(container, "/bin/cat", "/which")).Output.ShouldBe("cri\n");
    }

    private static int Trees(StarlightStack stack) => Directory.GetDirectories(Path.Combine(stack.FsRoot, "images")).Length;
}
