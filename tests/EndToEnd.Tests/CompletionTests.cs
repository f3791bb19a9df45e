using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 5: once everything is here, Starlight is in no path any more.</summary>
[Collection(nameof(StackCollection))]
public sealed class CompletionTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task Mount_WhenEverythingHasArrived_HasNoFuseLayer()
    {
        string reference = await SampleImage.PushAsync(Stack, "complete/app:1", 1);
        await Stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(Stack, reference);
        string gate = Path.Combine(Stack.FsRoot, "gate");

        // while content is missing the gate is one of the layers …
        Stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length - 500_000 };
        (await Stack.Cli("pull", reference)).Succeeded();
        string early = await Stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);
        MountOf(early).ShouldContain(gate);
        Stack.Relay.Rule = RelayRule.None;
        await Stack.PullWholeAsync(reference);

        // … and then no more
        string late = await Stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);
        MountOf(late).ShouldNotContain(gate);
        MountOf(late).ShouldContain("- overlay overlay ");
        foreach (string directory in LowerDirectories(MountOf(late)))
        {
            FileSystemOf(directory).ShouldNotStartWith("fuse");
        }

        string view = Stack.NewName("view");
        string top = (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "ls")).Succeeded()
            .Split('\n').Single(l => l.StartsWith(late + " ", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];

        // ctr's view has no label that keeps it from the collector: from here on it may be gone
        string mounts = (await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "view", "--target", "/target", view, top)).Succeeded();
        mounts.ShouldContain("overlay");
        mounts.ShouldNotContain(gate);
        _ = await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "rm", view);

        await Stack.RemoveContainerAsync(early);
        await Stack.RemoveContainerAsync(late);
        await Images.RemoveAsync(Stack, reference);
    }

    /// <summary>The line of /proc/self/mountinfo (proc(5)) for a container's root filesystem.</summary>
    private string MountOf(string container) =>
        File.ReadLines("/proc/self/mountinfo").Single(line => line.Split(' ')[4] == Stack.RootOf(container));

    private static IEnumerable<string> LowerDirectories(string mount) => mount.Split(' ')[^1].Split(',')
        .Where(option => option.StartsWith("lowerdir", StringComparison.Ordinal) || option.StartsWith("datadir", StringComparison.Ordinal))
        .SelectMany(option => option[(option.IndexOf('=', StringComparison.Ordinal) + 1)..].Split(':', StringSplitOptions.RemoveEmptyEntries));

    private static string FileSystemOf(string directory) => Tool.Run("stat", ["-f", "-c", "%T", directory]).Trim();
}
