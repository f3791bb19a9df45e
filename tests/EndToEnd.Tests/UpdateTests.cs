using Starlight.Domain.Content;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 4: a new version costs what is new in it.</summary>
[Collection(nameof(StackCollection))]
public class UpdateTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task Pull_WithAnEarlierVersionHere_BringsNoContentTwiceAndBothRun()
    {
        string one = await SampleImage.PushAsync(Stack, "update/app:1", 2, "mkdir app; echo one > app/version; echo same > app/same");
        await Stack.NotifyAsync(one);
        await Stack.PullWholeAsync(one);
        HashSet<Digest> first = [.. (await DeltaOf.ImageAsync(Stack, one)).ImageContents.Select(c => c.Digest)];

        // version 2: what version 1 has, and one more layer
        string two = await NextVersionAsync(one, "update/app:2");
        await Stack.NotifyAsync(two);
        int before = Stack.Relay.Requests.Count;
        (await Stack.Cli("pull", "--disable-early-start", two)).Succeeded().ShouldContain("built upon");
        string request = Stack.Relay.Requests.Skip(before).Single(r => r.StartsWith("GET /starlight/delta?", StringComparison.Ordinal));

        DeltaOf asked = await DeltaOf.RequestAsync(Stack, request["GET ".Length..]);
        asked.Digests.Where(first.Contains).ShouldBeEmpty();
        asked.Digests.Distinct().Count().ShouldBe(asked.Contents.Count);
        asked.Digests.ShouldBe(asked.ImageContents.Select(c => c.Digest).Distinct().Except(first), ignoreOrder: true);
        asked.Contents.Sum(c => c.Size).ShouldBe("two\n"u8.Length + "new\n"u8.Length);

        string[] containers = [await Stack.StartContainerAsync(one, ["/bin/sleep", "1000"]), await Stack.StartContainerAsync(two, ["/bin/sleep", "1000"])];
        (await ExecAsync(containers[0], "/bin/cat", "/app/version", "/app/same")).ShouldBe("one\nsame\n");
        (await ExecAsync(containers[1], "/bin/cat", "/app/version", "/app/new")).ShouldBe("two\nnew\n");
        foreach (string container in containers)
        {
            await Stack.RemoveContainerAsync(container);
        }

        await Images.RemoveAsync(Stack, one, two);
    }

    private async Task<string> ExecAsync(string container, params string[] command) =>
        (await Stack.Ctr(["task", "exec", "--exec-id", Stack.NewName("exec"), container, .. command])).Succeeded();

    /// <summary>Another image on the same layers, made with umoci.</summary>
    private async Task<string> NextVersionAsync(string reference, string repositoryAndTag)
    {
        using ScratchDirectory scratch = new();
        string layout = scratch["layout"];
        Tool.Run("skopeo", ["copy", "--quiet", "--src-tls-verify=false", $"docker://{reference}", $"oci:{layout}:app"]);
        Tool.Bash(
            $"""
            mkdir -p tree/app
            echo two > tree/app/version
            echo new > tree/app/new
            umoci insert --image {layout}:app tree/app /app
            """,
            scratch.Path);
        return await Stack.PushAsync($"oci:{layout}:app", repositoryAndTag);
    }
}
