using Starlight.Domain.Content;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 4: a new version costs what is new in it.</summary>
[Collection(nameof(StackCollection))]
public sealed class UpdateTests(StackFixture fixture)
{
    private readonly StarlightStack _stack = fixture.Stack;

    [Fact]
    public async Task Pull_WithAnEarlierVersionHere_BringsNoContentTwiceAndBothRun()
    {
        string one = await SampleImage.PushAsync(_stack, "update/app:1", 2, "mkdir app; echo one > app/version; echo same > app/same");
        await _stack.NotifyAsync(one);
        await _stack.PullWholeAsync(one);
        HashSet<Digest> first = [.. (await DeltaOf.ImageAsync(_stack, one)).ImageContents.Select(c => c.Digest)];

        // version 2: what version 1 has, and one more layer
        string two = await NextVersionAsync(one, "update/app:2");
        await _stack.NotifyAsync(two);
        int before = _stack.Relay.Requests.Count;
        (await _stack.Cli("pull", "--disable-early-start", two)).Succeeded().ShouldContain("built upon");
        string request = _stack.Relay.Requests.Skip(before).Single(r => r.StartsWith("GET /starlight/delta?", StringComparison.Ordinal));

        DeltaOf asked = await DeltaOf.RequestAsync(_stack, request["GET ".Length..]);
        asked.Digests.Where(first.Contains).ShouldBeEmpty();
        asked.Digests.Distinct().Count().ShouldBe(asked.Contents.Count);
        asked.Digests.ShouldBe(asked.ImageContents.Select(c => c.Digest).Distinct().Except(first), ignoreOrder: true);
        asked.Contents.Sum(c => c.Size).ShouldBe("two\n"u8.Length + "new\n"u8.Length);

        string[] containers = [await _stack.StartContainerAsync(one, ["/bin/sleep", "1000"]), await _stack.StartContainerAsync(two, ["/bin/sleep", "1000"])];
        (await ExecAsync(containers[0], "/bin/cat", "/app/version", "/app/same")).ShouldBe("one\nsame\n");
        (await ExecAsync(containers[1], "/bin/cat", "/app/version", "/app/new")).ShouldBe("two\nnew\n");
        foreach (string container in containers)
        {
            await _stack.RemoveContainerAsync(container);
        }

        await Images.RemoveAsync(_stack, one, two);
    }

    private async Task<string> ExecAsync(string container, params string[] command) =>
        (await _stack.Ctr(["task", "exec", "--exec-id", _stack.NewName("exec"), container, .. command])).Succeeded();

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
        return await _stack.PushAsync($"oci:{layout}:app", repositoryAndTag);
    }
}
