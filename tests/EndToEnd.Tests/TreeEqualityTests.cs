using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 1 and 2: what a container sees through Starlight is what it sees through containerd's overlayfs, converted or not, and converted images are ordinary ones.</summary>
public abstract class TreeComparison(StackFixture fixture) : StackTest(fixture)
{
    private const string Overlayfs = "overlayfs";

    /// <summary>Directories in which layers have files without describing them. Through overlayfs they have the time of unpacking, which cannot be equal.</summary>
    private readonly HashSet<string> _madeByUnpacking = [];

    protected async Task SameAsync(string reference, Action<string[], ISet<string>> check)
    {
        string converted = reference + "-converted";
        (await Stack.Cli("convert", "--notify", "-q", reference, converted)).Succeeded();
        DateTimeOffset before = DateTimeOffset.UtcNow;
        (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", Overlayfs, reference)).Succeeded();
        string[] expected = await WalkAsync(reference, Overlayfs, before);
        check(expected, _madeByUnpacking);

        // converted, unpacked by containerd itself; what makes a layer eStargz is then in the root directory
        (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", Overlayfs, converted)).Succeeded();
        Same(await WalkAsync(converted, Overlayfs), expected);
        await Images.RemoveAsync(Stack, reference, converted);

        // converted, through Starlight
        await Stack.PullWholeAsync(converted);
        Same(await WalkAsync(converted, StarlightStack.Snapshotter), expected);
        await Images.RemoveAsync(Stack, converted);

        // unconverted, through Starlight, walked while it arrives: every open of the walk waits for its file
        await Stack.NotifyAsync(reference);
        (await Stack.Cli("pull", reference)).Succeeded();
        Same(await WalkAsync(reference, StarlightStack.Snapshotter), expected);
        await Stack.PullWholeAsync(reference);
        await Images.RemoveAsync(Stack, reference);
    }

    private async Task<string[]> WalkAsync(string reference, string snapshotter, DateTimeOffset? unpackedSince = null) =>
        [.. (await ContainerWalk.InsideAsync(Stack, reference, snapshotter, _madeByUnpacking, unpackedSince)).Where(line => !IsOfEstargz(line))];

    /// <summary>https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md: TOC and landmarks are files of the layer.</summary>
    private static bool IsOfEstargz(string line) =>
        new[] { "/stargz.index.json", "/.prefetch.landmark", "/.no.prefetch.landmark" }.Any(name => line.StartsWith(name + " ", StringComparison.Ordinal) || line.EndsWith("  " + name, StringComparison.Ordinal));

    private static void Same(string[] actual, string[] expected)
    {
        string[] missing = [.. expected.Except(actual)];
        string[] unexpected = [.. actual.Except(expected)];
        string difference = $"{missing.Length} lines are missing, {unexpected.Length} should not be there:\n{string.Join('\n', missing.Take(20).Select(l => "- " + l).Concat(unexpected.Take(20).Select(l => "+ " + l)))}";
        (missing.Length + unexpected.Length).ShouldBe(0, difference);
        actual.Length.ShouldBe(expected.Length);
    }
}

[Collection(nameof(StackCollection))]
public class TreeEqualityTests(StackFixture fixture) : TreeComparison(fixture)
{
    [Fact]
    public async Task Walk_OfAnOddImage_IsTheSameAsThroughOverlayfs() =>
        await SameAsync(await OddImage.PushAsync(Stack, "trees/odd:1"), (lines, madeByUnpacking) =>
        {
            madeByUnpacking.ShouldBe(["/", .. OddImage.Implied], ignoreOrder: true);

            // the walk has seen what the image was made for
            lines.ShouldContain(l => l.StartsWith("/capable ", StringComparison.Ordinal) && l.Contains("regular file"));
            lines.ShouldContain(l => l.Contains("security.capability=0x"));
            lines.ShouldContain(l => l.Contains("user.two="));
            lines.ShouldContain(l => l.Contains("/names/not\\377utf8\\200"));
            lines.ShouldContain(l => l.Contains("block special file") && l.EndsWith("103:12c", StringComparison.Ordinal));
            lines.ShouldContain(l => l.StartsWith("/links/new-name ", StringComparison.Ordinal) && l.Contains("with /links/a"));
            lines.ShouldContain(l => l.StartsWith("/c-elsewhere ", StringComparison.Ordinal) && l.Contains("981173106.123456789"));
            lines.ShouldContain(l => l.StartsWith("/opaque/sub/again ", StringComparison.Ordinal));
            lines.ShouldNotContain(l => l.Contains("/opaque/below") || l.Contains("/merged/hidden") || l.Contains("/opaque/sub/below"));
        });
}

[Collection(nameof(StackCollection))]
public sealed class DebianTreeEqualityTests(StackFixture fixture) : TreeComparison(fixture)
{
    [Fact]
    public async Task Walk_OfADebianImage_IsTheSameAsThroughOverlayfs() =>
        await SameAsync(await Stack.PushAsync(DebianImage.Source(), "trees/debian:1"), (lines, madeByUnpacking) =>
        {
            lines.ShouldContain(l => l.StartsWith("/usr/bin/redis-", StringComparison.Ordinal));
            lines.Length.ShouldBeGreaterThan(1_000);
            madeByUnpacking.Count.ShouldBeLessThan(lines.Length / 50);
        });
}
