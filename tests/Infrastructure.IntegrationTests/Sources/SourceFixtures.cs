using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Infrastructure.Registry;

namespace Starlight.Infrastructure.IntegrationTests.Sources;

/// <summary>A private directory, images in it made by hand or by other tools, and the adapter behind its own door.</summary>
internal sealed class SourceFixtures : IDisposable
{
    private readonly ServiceProvider _provider = new ServiceCollection().AddImageTransports().BuildServiceProvider();

    public string Root { get; } = Directory.CreateTempSubdirectory("starlight-sources-").FullName;

    public Task<IImageSource> OpenAsync(string location) =>
        _provider.GetRequiredService<IImageTransports>().OpenSourceAsync(location, new RegistryAccess(), CancellationToken.None);

    public string At(string name) => Path.Combine(Root, name);

    public void Dispose()
    {
        _provider.Dispose();
        Directory.Delete(Root, recursive: true);
    }

    /// <summary>Runs a tool that makes images; its failure is the test's.</summary>
    public void Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true, UseShellExecute = false, WorkingDirectory = Root };
        using Process process = Process.Start(start) ?? throw new InvalidOperationException(program);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        process.ExitCode.ShouldBe(0, $"{program} {string.Join(' ', arguments)}\n{errors}{output.Result}");
    }

    /// <summary>An uncompressed layer with one file.</summary>
    public static byte[] LayerTar(string file, string content) => Tar((file, Encoding.UTF8.GetBytes(content)));

    public static byte[] Tar(params (string Name, byte[] Content)[] files)
    {
        using MemoryStream raw = new();
        using (TarWriter writer = new(raw, TarEntryFormat.Ustar, leaveOpen: true))
        {
            foreach ((string name, byte[] content) in files)
            {
                writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content), ModificationTime = DateTimeOffset.UnixEpoch });
            }
        }

        return raw.ToArray();
    }

    public static byte[] Gzip(byte[] content)
    {
        using MemoryStream raw = new();
        using (GZipStream gzip = new(raw, CompressionLevel.Fastest))
        {
            gzip.Write(content);
        }

        return raw.ToArray();
    }

    public static byte[] Config(params byte[][] layers) => Encoding.UTF8.GetBytes(
        $$"""{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[{{string.Join(',', layers.Select(l => $"\"{Digest.Of(l)}\""))}}]},"config":{} }""");

    /// <summary>Files of an OCI layout: per image a name (null for none) and its one layer.</summary>
    public static (string Name, byte[] Content)[] Layout(params (string? Name, byte[] Layer)[] images)
    {
        List<(string, byte[])> files = [("oci-layout", """{"imageLayoutVersion":"1.0.0"}"""u8.ToArray())];
        List<string> entries = [];
        foreach ((string? name, byte[] layer) in images)
        {
            byte[] config = Config(layer);
            byte[] manifest = Encoding.UTF8.GetBytes(
                $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{"mediaType":"{{MediaTypes.OciConfig}}","digest":"{{Digest.Of(config)}}","size":{{config.Length}}},"layers":[{"mediaType":"{{MediaTypes.OciLayer}}","digest":"{{Digest.Of(layer)}}","size":{{layer.Length}}}]}""");
            foreach (byte[] blob in new[] { config, manifest, layer })
            {
                files.Add(($"blobs/sha256/{Digest.Of(blob).Hex}", blob));
            }

            string annotations = name is null ? "" : $$""","annotations":{"org.opencontainers.image.ref.name":"{{name}}"}""";
            entries.Add($$"""{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of(manifest)}}","size":{{manifest.Length}}{{annotations}}}""");
        }

        files.Add(("index.json", Encoding.UTF8.GetBytes($$"""{"schemaVersion":2,"manifests":[{{string.Join(',', entries)}}]}""")));
        return [.. files];
    }

    /// <summary>Writes files below <see cref="Root"/> and gives the directory's path.</summary>
    public string WriteDirectory(string name, (string Name, byte[] Content)[] files)
    {
        foreach ((string path, byte[] content) in files)
        {
            string full = Path.Combine(At(name), path);
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            File.WriteAllBytes(full, content);
        }

        return At(name);
    }

    public string WriteFile(string name, byte[] content)
    {
        File.WriteAllBytes(At(name), content);
        return At(name);
    }

    /// <summary>Reads everything that an image has, as a conversion would.</summary>
    public static async Task<(ManifestBlob Manifest, byte[] Config, IReadOnlyList<byte[]> Layers)> ReadImageAsync(IImageSource source)
    {
        ManifestBlob blob = await source.ResolveAsync(CancellationToken.None);
        ImageManifest manifest = ImageManifest.Parse(blob.Raw, blob.MediaType).Value;
        byte[] config = await ReadAsync(source, manifest.Config);
        List<byte[]> layers = [];
        foreach (Descriptor layer in manifest.Layers)
        {
            layers.Add(await ReadAsync(source, layer));
        }

        return (blob, config, layers);
    }

    public static async Task<byte[]> ReadAsync(IImageSource source, Descriptor descriptor)
    {
        await using Stream stream = await source.OpenBlobAsync(descriptor, CancellationToken.None);
        using MemoryStream copy = new();
        await stream.CopyToAsync(copy);
        return copy.ToArray();
    }
}
