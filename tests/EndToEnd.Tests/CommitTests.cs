using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Infrastructure.Containerd;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 3, 2: what a container changed becomes a layer on top of its image, as <c>nerdctl commit</c> makes it: diff service, new manifest, ordinary unpack on the image's chain.</summary>
[Collection(nameof(StackCollection))]
public sealed class CommitTests(StackFixture fixture) : StackTest(fixture)
{
    private const string LayerType = "application/vnd.oci.image.layer.v1.tar+gzip";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Commit_OfAContainersChanges_RunsAsAnImage(bool provided)
    {
        string before = await WorkerStore.DescribeAsync(Stack);
        string reference = await SampleImage.PushAsync(Stack, "commit/base:1", 2, "mkdir etc opaque; echo one > etc/version; echo gone > opaque/gone");
        if (provided)
        {
            await Stack.NotifyAsync(reference);
            await Stack.PullWholeAsync(reference);
        }
        else
        {
            (await Stack.Ctr("images", "pull", "--plain-http", "--snapshotter", StarlightStack.Snapshotter, reference)).Succeeded();
        }

        string container = Stack.NewName("changed");
        (await Stack.Ctr(
            "run", "--snapshotter", StarlightStack.Snapshotter, "--mount", "type=bind,src=/bin,dst=/tools,options=rbind:ro", "--mount", "type=bind,src=/lib,dst=/lib,options=rbind:ro",
            "--mount", "type=bind,src=/usr,dst=/usr,options=rbind:ro", reference, container, "/bin/sh", "-c",
            "set -e; echo two > /etc/version; /tools/rm /zz/0; /tools/rm -r /opaque; /tools/mkdir /opaque; echo new > /opaque/new; /tools/chmod 700 /bin/sleep; /tools/mv /zz/1 /zz/moved; echo done")).Succeeded().ShouldBe("done\n");
        string committed = Stack.Reference("commit/result:1");

        await CommitAsync(reference, container, committed);
        (await Stack.Ctr("containers", "rm", container)).Succeeded();

        // of what was put in place of mount points nothing is asked
        (await Stack.RunAsync(committed, ["/bin/sh", "-c", "cat /etc/version; ls /zz /opaque; cat /opaque/new; ls -l /bin/sleep | (read mode rest; echo $mode)"]))
            .ShouldBe("two\n/opaque:\nnew\n\n/zz:\nmoved\nnew\n-rwx------\n");
        (await Stack.RunAsync(committed, ["/bin/cat", "/zz/moved"])).Length.ShouldBe(SampleImage.LargeFile);

        // the base may go: what stands on it keeps it
        await Images.RemoveAsync(Stack, reference);
        (await Stack.RunAsync(committed, ["/bin/cat", "/etc/version"])).ShouldBe("two\n");
        (await Stack.RunAsync(committed, ["/bin/cat", "/zz/moved"])).Length.ShouldBe(SampleImage.LargeFile);
        await Images.RemoveAsync(Stack, committed);
        await WorkerStore.ShouldBecomeAsync(Stack, before);
    }

    private async Task CommitAsync(string reference, string container, string committed)
    {
        byte[] layer = Encoding.Latin1.GetBytes((await Stack.Ctr("snapshots", "--snapshotter", StarlightStack.Snapshotter, "diff", container)).Succeeded());
        using MemoryStream tar = new();
        await using (GZipStream gzip = new(new MemoryStream(layer), CompressionMode.Decompress))
        {
            await gzip.CopyToAsync(tar);
        }

        using ContainerdRuntime runtime = new(Stack.Containerd.Address);
        IContainerImages images = await runtime.OpenNamespaceAsync("default", CancellationToken.None);
        ContainerImage old = (await images.FindImageAsync(reference, CancellationToken.None))!;
        JsonNode manifest = JsonNode.Parse((await images.ReadBlobAsync(old.Target, CancellationToken.None)).Span)!;
        Descriptor oldConfig = new((string)manifest["config"]!["mediaType"]!, Digest.Parse((string)manifest["config"]!["digest"]!).Value, (long)manifest["config"]!["size"]!);
        JsonNode config = JsonNode.Parse((await images.ReadBlobAsync(oldConfig, CancellationToken.None)).Span)!;
        config["rootfs"]!["diff_ids"]!.AsArray().Add((JsonNode)Digest.Of(tar.ToArray()).ToString());
        config.AsObject().Remove("history");
        Descriptor newLayer = new(LayerType, Digest.Of(layer), layer.Length);
        byte[] configBytes = Encoding.UTF8.GetBytes(config.ToJsonString());
        Descriptor newConfig = new(oldConfig.MediaType, Digest.Of(configBytes), configBytes.Length);
        manifest["config"] = Json(newConfig);
        manifest["layers"]!.AsArray().Add(Json(newLayer));
        byte[] manifestBytes = Encoding.UTF8.GetBytes(manifest.ToJsonString());
        Descriptor newManifest = new(old.Target.MediaType, Digest.Of(manifestBytes), manifestBytes.Length);

        await using IContainerLease lease = await images.BeginLeaseAsync(TimeSpan.FromMinutes(5), CancellationToken.None);
        Dictionary<string, string> none = [];
        await lease.PutBlobAsync(newLayer, layer, none, CancellationToken.None);
        await lease.PutBlobAsync(newConfig, configBytes, none, CancellationToken.None);
        Dictionary<string, string> parts = new() { ["containerd.io/gc.ref.content.config"] = newConfig.Digest.ToString(), ["containerd.io/gc.ref.content.l.0"] = newLayer.Digest.ToString() };
        await lease.PutBlobAsync(newManifest, manifestBytes, parts, CancellationToken.None);
        await lease.SetImageAsync(new ContainerImage(committed, newManifest, none), CancellationToken.None);
        (await Stack.Ctr("snapshots", "unpack", "--snapshotter", StarlightStack.Snapshotter, newManifest.Digest.ToString())).Succeeded();
    }

    private static JsonObject Json(Descriptor descriptor) => new() { ["mediaType"] = descriptor.MediaType, ["digest"] = descriptor.Digest.ToString(), ["size"] = descriptor.Size };
}
