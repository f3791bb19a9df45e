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
        (await Stack.ExecAsync(containers[0], "/bin/cat", "/app/version", "/app/same")).ShouldBe("one\nsame\n");
        (await Stack.ExecAsync(containers[1], "/bin/cat", "/app/version", "/app/new")).ShouldBe("two\nnew\n");
        foreach (string container in containers)
        {
            await Stack.RemoveContainerAsync(container);
        }

        await Images.RemoveAsync(Stack, one, two);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Pull_WhenALargeFileChangedALittle_BringsWhatDiffersAlsoIfTheOldOneIsDamaged(bool damaged)
    {
        string repository = damaged ? "update/damaged" : "update/patched";
        const string tools = "mkdir bin app; for tool in sh sleep; do cp -L \"/bin/$tool\" bin/; done; ";
        string one = await Stack.PushTinyAsync($"{repository}:1", tools + "seq 1 400000 > app/data");
        string two = await Stack.PushTinyAsync($"{repository}:2", tools + "(seq 1 150000; echo inserted; seq 150001 400000) > app/data");
        string expected = Tool.Bash("(seq 1 150000; echo inserted; seq 150001 400000) | sha256sum");
        await Stack.NotifyAsync(one);
        await Stack.NotifyAsync(two);
        await Stack.PullWholeAsync(one);
        int whole = (await DeltaOf.ImageAsync(Stack, two)).Length;
        if (damaged)
        {
            ContentRef data = (await DeltaOf.ImageAsync(Stack, one)).ImageContents.MaxBy(c => c.Size);
            using FileStream file = new(Path.Combine(Stack.FsRoot, "objects", data.Digest.ObjectPath), FileMode.Open, FileAccess.ReadWrite);
            file.Position = 1_000_000;
            file.Write("damage"u8);
        }

        int refusals = Refusals();
        int before = Stack.Relay.Requests.Count;
        string output = (await Stack.Cli("pull", "--disable-early-start", two)).Succeeded();
        string[] requests = [.. Stack.Relay.Requests.Skip(before).Where(r => r.StartsWith("GET /starlight/delta?", StringComparison.Ordinal))];

        output.ShouldContain("built upon");
        requests[0].ShouldContain("&patch=true");
        requests.Count(r => !r.Contains("&patch=true", StringComparison.Ordinal)).ShouldBe(damaged ? 1 : 0);
        Refusals().ShouldBe(refusals + (damaged ? 1 : 0));
        using HttpClient http = new();
        (await http.GetByteArrayAsync(new Uri(Stack.ProxyUrl, requests[0]["GET ".Length..].Split(' ')[0]))).Length.ShouldBeLessThan(whole / 10);
        string container = await Stack.StartContainerAsync(two, ["/bin/sleep", "1000"]);
        Tool.Bash($"sha256sum < /proc/{await Stack.PidOfAsync(container)}/root/app/data").ShouldBe(expected);
        await Stack.RemoveContainerAsync(container);
        await Images.RemoveAsync(Stack, one, two);

        int Refusals() => Stack.Logs.Split("cannot be made from").Length;
    }

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
