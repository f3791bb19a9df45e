using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.TestKit;

/// <summary>A containerd of the test's own: own root, state and socket, overlayfs snapshotter only. Stopped and removed when disposed.</summary>
public sealed class PrivateContainerd : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private readonly ScratchDirectory _scratch = new();
    private readonly Process _process;
    private int _images;

    public PrivateContainerd()
    {
        string config = _scratch.Combine("config.toml");
        File.WriteAllText(config, $"""
            version = 2
            root = "{_scratch.Create("root")}"
            state = "{_scratch.Create("state")}"
            disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
            [grpc]
            address = "{Socket}"
            """);
        ProcessStartInfo start = new("containerd", ["--config", config]) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true };
        _process = Process.Start(start) ?? throw new InvalidOperationException("containerd did not start");
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        long started = Stopwatch.GetTimestamp();
        while (!Answers())
        {
            if (_process.HasExited || Stopwatch.GetElapsedTime(started) > Deadline)
            {
                Dispose();
                throw new TimeoutException($"containerd did not answer within {Deadline}");
            }

            Thread.Yield();
        }
    }

    private string Socket => _scratch.Combine("containerd.sock");

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
        if (!_process.HasExited)
        {
            // SIGTERM lets it close its database; it holds no containers.
            CommandLine.Run("kill", _process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
            _process.WaitForExit(Deadline);
        }

        _process.Dispose();
        _scratch.Dispose();
    }

    private bool Answers()
    {
        try
        {
            Ctr("version");
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private string Ctr(params string[] arguments) => CommandLine.Run("ctr", ["--address", Socket, .. arguments]);

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
