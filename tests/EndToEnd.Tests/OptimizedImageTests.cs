using System.Text.Json.Nodes;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 5, point 7: what traces taught the proxy is in the layers too, for those who pull with stargz-snapshotter.</summary>
[Collection(nameof(StackCollection))]
public sealed class OptimizedImageTests(StackFixture fixture) : StackTest(fixture)
{
    /// <summary>
    /// Reads a layer by the specification alone (stargz-snapshotter docs/estargz.md) and prints its entries in the order of the TOC: footer, TOC in the last member, a gzip member at every offset that
    /// holds what its digest says, TOC and tar in the same order, the landmark a file of one byte.
    /// </summary>
    private const string ReadLayer =
        """
        import gzip, hashlib, io, json, struct, sys, tarfile, zlib
        blob = open(sys.argv[1], 'rb').read()
        footer = blob[-51:]
        assert footer[:4] == b'\x1f\x8b\x08\x04' and footer[12:16] == b'SG' + struct.pack('<H', 22) and footer[32:38] == b'STARGZ', 'footer'
        at = int(footer[16:32], 16)
        tail = tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob[at:])))
        names = tail.getnames()
        assert names == ['stargz.index.json'], names
        raw = tail.extractfile(names[0]).read()
        toc = json.loads(raw)
        assert toc['version'] == 1
        def member(offset):
            return zlib.decompressobj(31).decompress(blob[offset:])
        chunks = [e for e in toc['entries'] if e.get('offset')]
        assert [c['offset'] for c in chunks] == sorted(c['offset'] for c in chunks), 'payloads in the order of the TOC'
        for e in [e for e in toc['entries'] if e['type'] == 'reg' and e.get('size', 0) > 0]:
            assert e['offset'] > 0, e
            length = e.get('chunkSize', 0) or e['size']
            data = member(e['offset'])[:length]
            assert 'sha256:' + hashlib.sha256(data).hexdigest() == e['chunkDigest'], e
        landmarks = [e for e in toc['entries'] if e['name'] in ('.prefetch.landmark', '.no.prefetch.landmark')]
        assert len(landmarks) == 1 and landmarks[0]['type'] == 'reg' and landmarks[0]['size'] == 1, landmarks
        assert member(landmarks[0]['offset'])[:1] == b'\x0f'
        tar = tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob)))
        whole = [m.name.rstrip('/') for m in tar.getmembers()]
        assert whole == [e['name'].rstrip('/') for e in toc['entries'] if e['type'] != 'chunk'] + ['stargz.index.json'], 'tar and TOC'
        print('sha256:' + hashlib.sha256(raw).hexdigest())
        for e in toc['entries']:
            print(e['name'].removeprefix('./').rstrip('/'))
        """;

    [Fact]
    public async Task Convert_OptimizedFromWhatAContainerOpened_PutsThatFirstAndIsTheSameImage()
    {
        Requirements.Program("python3");
        Requirements.Program("ctr-remote");
        string source = await SampleImage.PushAsync(Stack, "optimized/source:1");
        string first = Stack.Reference("optimized/image:1");
        (await Stack.Cli("convert", "-q", "--notify", source, first)).Succeeded();
        await Stack.PullWholeAsync(first);
        (await Stack.Cli("optimizer", "on")).Succeeded();
        string content = await Stack.RunAsync(first, ["/bin/cat", "/zz/3"]);
        (await Stack.Cli("optimizer", "off")).Succeeded();
        (await Stack.Cli("report")).Succeeded();
        string[] expected = await WalkAsync(first, StarlightStack.Snapshotter);

        // the tag is new: it is known from the version that was traced, through the daemon and directly
        string second = Stack.Reference("optimized/image:2");
        (await Stack.Cli("convert", "--optimize-from", "local", source, second)).Succeeded().ShouldContain($"files first, from 1 traces of {second}");
        string third = Stack.Reference("optimized/image:3");
        (await Stack.Cli("convert", "-q", "--optimize-from", Stack.ProxyUrl.ToString(), source, third)).Succeeded();
        Inspect(third).ToJsonString().ShouldBe(Inspect(second).ToJsonString());

        JsonNode manifest = Inspect(second);
        JsonNode layer = manifest["layers"]!.AsArray()[^1]!;
        manifest["annotations"]!.ToJsonString().ShouldBe(Inspect(first)["annotations"]!.ToJsonString(), "the tree is the same");
        ((string)layer["digest"]!).ShouldNotBe((string)Inspect(first)["layers"]!.AsArray()[^1]!["digest"]!);
        string[] entries = await ReadAsync(second, layer);
        entries[0].ShouldBe((string)layer["annotations"]!["containerd.io/snapshot/stargz/toc.digest"]!);
        int landmark = Array.IndexOf(entries, ".prefetch.landmark");
        entries[1..landmark].ShouldContain("bin/cat");
        entries[1..landmark].ShouldContain("zz/3");
        entries[1..landmark].ShouldNotContain("zz/0");
        entries[(landmark + 1)..].ShouldContain("zz/0");

        // notify checks the annotation against the tree that it builds itself
        await Images.RemoveAsync(Stack, first);
        (await Stack.Cli("notify", second)).Succeeded();
        await Stack.PullWholeAsync(second);
        (await Stack.RunAsync(second, ["/bin/cat", "/zz/3"])).ShouldBe(content);
        (await WalkAsync(second, StarlightStack.Snapshotter)).ShouldBe(expected);
        await Images.RemoveAsync(Stack, second);

        (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", "overlayfs", second)).Succeeded();
        (await WalkAsync(second, "overlayfs")).ShouldBe(expected, "unpacked by containerd itself");
        (await Stack.Containerd.RunClient("ctr-remote", "images", "get-toc-digest", (string)layer["digest"]!)).Succeeded().Trim().ShouldBe(entries[0]);
        await Images.RemoveAsync(Stack, second);
    }

    [Fact]
    public async Task Convert_WhenTheProxyKnowsNothingOrDoesNotAnswer_FailsAndPushesNothing()
    {
        string source = await SampleImage.PushAsync(Stack, "optimized/unknown:1", 1);
        string target = Stack.Reference("optimized/unknown-converted:1");

        ProcessOutcome unknown = await Stack.Cli("convert", "--optimize-from", Stack.ProxyUrl.ToString(), source, target);
        ProcessOutcome unreachable = await Stack.Cli("convert", "--optimize-from", "http://127.0.0.1:1", source, target);
        ProcessOutcome profile = await Stack.Cli("convert", "--optimize-from", "nobody", source, target);

        (unknown.ExitCode, unreachable.ExitCode, profile.ExitCode).ShouldBe((3, 4, 3));
        unknown.ErrorOutput.ShouldContain("the proxy knows no order for");
        unreachable.ErrorOutput.ShouldContain("127.0.0.1:1");
        profile.ErrorOutput.ShouldContain("nobody");
        Should.Throw<InvalidOperationException>(() => Inspect(target));
    }

    /// <summary>Without the root, whose time is that of the container's start, and what makes layers eStargz.</summary>
    private async Task<string[]> WalkAsync(string reference, string snapshotter) =>
    [
        .. (await ContainerWalk.InsideAsync(Stack, reference, snapshotter, new HashSet<string>()))
            .Where(l => !l.StartsWith("/ |", StringComparison.Ordinal) && !l.Contains("/stargz.index.json", StringComparison.Ordinal) && !l.Contains("prefetch.landmark", StringComparison.Ordinal)),
    ];

    private static JsonNode Inspect(string reference) => JsonNode.Parse(Tool.Run("skopeo", ["inspect", "--tls-verify=false", "--raw", $"docker://{reference}"]))!;

    private static async Task<string[]> ReadAsync(string reference, JsonNode layer)
    {
        using ScratchDirectory scratch = new();
        Tool.Run("skopeo", ["copy", "--quiet", "--src-tls-verify=false", $"docker://{reference}", $"dir:{scratch["image"]}"]);
        await File.WriteAllTextAsync(scratch["read.py"], ReadLayer);
        string output = Tool.Run("python3", [scratch["read.py"], Path.Combine(scratch["image"], ((string)layer["digest"]!)["sha256:".Length..])]);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
