using System.Text.Json.Nodes;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 2: others' tools take converted images. That containerd's overlayfs gives the same tree is in <see cref="TreeEqualityTests"/>.</summary>
[Collection(nameof(StackCollection))]
public sealed class ConvertedImageTests(StackFixture fixture) : StackTest(fixture)
{
    [Fact]
    public async Task Convert_Twice_GivesTheSameDigest()
    {
        string source = await OddImage.PushAsync(Stack, "convert/twice:1");
        string[] targets = [Stack.Reference("convert/twice-a:1"), Stack.Reference("convert/twice-b:1")];
        foreach (string target in targets)
        {
            (await Stack.Cli("convert", "-q", source, target)).Succeeded();
        }

        Inspect(targets[0], "--raw").ShouldBe(Inspect(targets[1], "--raw"));
        Inspect(targets[0], "--raw").ShouldNotBe(Inspect(source, "--raw"));
    }

    [Fact]
    public async Task Convert_OfAnOddImage_IsUnpackedByUmociAsBefore()
    {
        string source = await OddImage.PushAsync(Stack, "convert/umoci:1");
        string converted = Stack.Reference("convert/umoci-converted:1");
        (await Stack.Cli("convert", "-q", source, converted)).Succeeded();
        using ScratchDirectory scratch = new();

        string[] trees = [.. new[] { source, converted }.Select((reference, i) => Unpack(scratch, reference, $"image{i}"))];

        trees[1].ShouldBe(trees[0]);
        trees[0].ShouldContain("names");
    }

    [Fact]
    public async Task Convert_Layers_HaveTheTocDigestThatCtrRemoteFinds()
    {
        Requirements.Program("ctr-remote");
        string source = await SampleImage.PushAsync(Stack, "convert/toc:1", 1);
        string converted = Stack.Reference("convert/toc-converted:1");
        (await Stack.Cli("convert", "-q", source, converted)).Succeeded();
        (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", "overlayfs", converted)).Succeeded();

        JsonNode[] layers = [.. JsonNode.Parse(Inspect(converted, "--raw"))!["layers"]!.AsArray().Select(l => l!)];

        layers.Length.ShouldBeGreaterThan(1);
        foreach (JsonNode layer in layers)
        {
            string found = (await Stack.Containerd.RunClient("ctr-remote", "images", "get-toc-digest", (string)layer["digest"]!)).Succeeded().Trim();
            found.ShouldStartWith("sha256:");
            ((string?)layer["annotations"]?["containerd.io/snapshot/stargz/toc.digest"]).ShouldBe(found);
        }
    }

    private static string Inspect(string reference, params string[] options) => Tool.Run("skopeo", ["inspect", "--tls-verify=false", .. options, $"docker://{reference}"]);

    /// <summary>Everything about the tree as umoci unpacks it, but for what makes layers eStargz and the times of directories that no layer describes.</summary>
    private static string Unpack(ScratchDirectory scratch, string reference, string name)
    {
        string layout = scratch[name];
        Tool.Run("skopeo", ["copy", "--quiet", "--src-tls-verify=false", $"docker://{reference}", $"oci:{layout}:image"]);
        Tool.Run("umoci", ["unpack", "--image", $"{layout}:image", $"{layout}-unpacked"]);
        string implied = string.Join(' ', OddImage.Implied.Select(d => $"-path .{d} -o"));
        return Tool.Bash(
            $$"""
            export LC_ALL=C QUOTING_STYLE=escape
            rm -f stargz.index.json .prefetch.landmark .no.prefetch.landmark
            find . -mindepth 1 \( -type d \( {{implied}} -false \) -printf '%p %y %m %U:%G\n' \) -o \( -type d -printf '%p %y %m %U:%G %T@\n' \) -o -exec stat --printf '%N %F %a %u:%g %s %.9Y %h %t:%T\n' {} \; | sort
            find . -type f -print0 | sort -z | xargs -0 sha256sum | sed 's/[^ -~]/?/g'
            find . -mindepth 1 -print0 | sort -z | xargs -0 getfattr --no-dereference --dump --match=- --encoding=hex --
            """,
            $"{layout}-unpacked/rootfs");
    }
}
