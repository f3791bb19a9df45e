using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 5: once everything is here, Starlight is in no path any more.</summary>
[Collection(nameof(StackCollection))]
public sealed class CompletionTests(StackFixture fixture)
{
    private readonly StarlightStack _stack = fixture.Stack;

    [Fact]
    public async Task Mount_WhenEverythingHasArrived_HasNoFuseLayer()
    {
        string reference = await SampleImage.PushAsync(_stack, "complete/app:1", 1);
        await _stack.NotifyAsync(reference);
        DeltaOf bundle = await DeltaOf.ImageAsync(_stack, reference);
        string gate = Path.Combine(_stack.FsRoot, "gate");

        // while content is missing the gate is one of the layers …
        _stack.Relay.Rule = new RelayRule { HoldAfter = bundle.Length - 500_000 };
        (await _stack.Cli("pull", reference)).Succeeded();
        string early = await _stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);
        MountOf(early).ShouldContain(gate);
        _stack.Relay.Rule = RelayRule.None;
        await _stack.PullWholeAsync(reference);

        // … and then no more
        string late = await _stack.StartContainerAsync(reference, ["/bin/sleep", "1000"]);
        MountOf(late).ShouldNotContain(gate);
        MountOf(late).ShouldContain("- overlay overlay ");
        foreach (string directory in LowerDirectories(MountOf(late)))
        {
            FileSystemOf(directory).ShouldNotStartWith("fuse");
        }

        string view = _stack.NewName("view");
        string top = (await _stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "ls")).Succeeded()
            .Split('\n').Single(l => l.StartsWith(late + " ", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        (await _stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "view", view, top)).Succeeded();
        string mounts = (await _stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "mounts", "/target", view)).Succeeded();
        mounts.ShouldContain("overlay");
        mounts.ShouldNotContain(gate);
        (await _stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "rm", view)).Succeeded();

        await _stack.RemoveContainerAsync(early);
        await _stack.RemoveContainerAsync(late);
        await Images.RemoveAsync(_stack, reference);
    }

    /// <summary>The line of /proc/self/mountinfo (proc(5)) for a container's root filesystem.</summary>
    private string MountOf(string container) =>
        File.ReadLines("/proc/self/mountinfo").Single(line => line.Split(' ')[4] == _stack.RootOf(container));

    private static IEnumerable<string> LowerDirectories(string mount) => mount.Split(' ')[^1].Split(',')
        .Where(option => option.StartsWith("lowerdir", StringComparison.Ordinal) || option.StartsWith("datadir", StringComparison.Ordinal))
        .SelectMany(option => option[(option.IndexOf('=', StringComparison.Ordinal) + 1)..].Split(':', StringSplitOptions.RemoveEmptyEntries));

    private static string FileSystemOf(string directory) => Tool.Run("stat", ["-f", "-c", "%T", directory]).Trim();
}
