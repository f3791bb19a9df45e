using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, point 6: options of a container that reach into its root filesystem, on an image that is still arriving.</summary>
[Collection(nameof(StackCollection))]
public sealed class ContainerOptionTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task Run_WithAReadOnlyRoot_ReadsAndCannotWrite()
    {
        string reference = await PullAsync("options/readonly:1");

        (await Stack.RunAsync(reference, ["/bin/sh", "-c", "cat /hello; echo x > /hello || echo refused"], StarlightStack.Snapshotter, "--read-only")).ShouldBe("hello\nrefused\n");
        await Images.RemoveAsync(Stack, reference);
    }

    [Fact]
    public async Task Run_InAUserNamespace_SeesItsOwnFilesAsRoots()
    {
        string reference = await PullAsync("options/userns:1");

        string output = await Stack.RunAsync(
            reference, ["/bin/sh", "-c", "cat /hello /proc/self/uid_map; ls -ln /hello; echo x > /hello; cat /hello"], StarlightStack.Snapshotter, "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536");

        string[] lines = output.Split('\n');
        lines[0].ShouldBe("hello");
        lines[1].Split(' ', StringSplitOptions.RemoveEmptyEntries).ShouldBe(["0", "100000", "65536"]);
        lines[2].Split(' ', StringSplitOptions.RemoveEmptyEntries)[2..4].ShouldBe(["0", "0"]);
        lines[3].ShouldBe("x");
        await Images.RemoveAsync(Stack, reference);
    }

    private async Task<string> PullAsync(string repositoryAndTag)
    {
        string reference = await SampleImage.PushAsync(Stack, repositoryAndTag, 1, "echo hello > hello");
        await Stack.NotifyAsync(reference);
        (await Stack.Cli("pull", reference)).Succeeded();
        return reference;
    }
}
