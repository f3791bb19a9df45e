using System.Security.Cryptography;
using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.TestKit;

/// <summary>What containerd itself makes of layers: unpacked by its overlayfs snapshotter, mounted as for a container, and read.</summary>
public sealed class ContainerdOracle : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly ContainerdServer _server = ContainerdServer.StartAsync().GetAwaiter().GetResult();
    private int _images;

    /// <summary>Unpacks layers, base first, mounts them as a container would see them, and reads the tree. A refusal of containerd throws.</summary>
    public RealTree Unpack(IEnumerable<LayerEntry[]> layers)
    {
        string name = $"test.local/image:{++_images}";
        string archive = _scratch.Combine("image.tar");
        File.WriteAllBytes(archive, Archive(name, [.. layers.Select(LayerTar.Write)]));
        Ctr("images", "import", "--snapshotter", "overlayfs", archive);
        string target = _scratch.Create($"mount{_images}");
        Ctr("images", "mount", "--snapshotter", "overlayfs", "--rw", name, target);
        try
        {
            return RealTree.Read(target);
        }
        finally
        {
            Ctr("images", "unmount", "--rm", "--snapshotter", "overlayfs", target);
        }
    }

    public void Dispose()
    {
        _server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _scratch.Dispose();
    }

    private void Ctr(params string[] arguments) => _server.Ctr(arguments).GetAwaiter().GetResult().Succeeded();

    /// <summary>An OCI image layout in a tar (image-spec, image-layout.md).</summary>
    private static byte[] Archive(string name, byte[][] layers)
    {
        string[] digests = [.. layers.Select(Hex)];
        byte[] config = Encoding.UTF8.GetBytes(
            $$"""{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[{{string.Join(',', digests.Select(hex => $"\"sha256:{hex}\""))}}] } }""");
        string descriptors = string.Join(',', layers.Select((layer, i) => Descriptor("application/vnd.oci.image.layer.v1.tar", digests[i], layer.Length)));
        byte[] manifest = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{Descriptor("application/vnd.oci.image.config.v1+json", Hex(config), config.Length)}},"layers":[{{descriptors}}]}""");
        string manifestDescriptor = Descriptor("application/vnd.oci.image.manifest.v1+json", Hex(manifest), manifest.Length)[..^1];
        byte[] index = Encoding.UTF8.GetBytes($$"""{"schemaVersion":2,"manifests":[{{manifestDescriptor}},"annotations":{"io.containerd.image.name":"{{name}}"} } ] }""");
        IEnumerable<(string Path, byte[] Bytes)> files =
        [
            ("oci-layout", """{"imageLayoutVersion":"1.0.0"}"""u8.ToArray()), ("index.json", index),
            .. layers.Append(config).Append(manifest).DistinctBy(Hex).Select(blob => ($"blobs/sha256/{Hex(blob)}", blob)),
        ];
        return LayerTar.Write(files.Select(file => LayerEntries.File(file.Path, file.Bytes)));
    }

    private static string Descriptor(string mediaType, string hex, int size) => $"{{\"mediaType\":\"{mediaType}\",\"digest\":\"sha256:{hex}\",\"size\":{size}}}";

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
