using System.Text;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Infrastructure.IntegrationTests.Persistence;

/// <summary>Images and layers with every property set to something of its own.</summary>
internal static class SampleCatalog
{
    public static Platform Amd64 { get; } = new("linux", "amd64");

    public static Platform Arm64 { get; } = new("linux", "arm64");

    public static ImageReference Reference(string tag) => ImageReference.Parse($"registry.example:5000/team/app:{tag}").Value;

    public static IndexedLayer Layer(string name) => new(Digest.Of(Encoding.UTF8.GetBytes(name)), Digest.Of(Encoding.UTF8.GetBytes("diff " + name)), 5_000_000_000, 7_000_000_000, IsEStargz: true, Encoding.UTF8.GetBytes("index of " + name));

    public static IndexedImage Image(string name, Platform platform, params IndexedLayer[] layers)
    {
        byte[] manifest = Encoding.UTF8.GetBytes("{\"manifest\": \"" + name + "+\"}");
        byte[] filesystem = [.. Enumerable.Range(0, 9000).Select(i => (byte)(i * name.Length))];
        return new IndexedImage
        {
            Digest = Digest.Of(manifest),
            Platform = platform,
            MediaType = MediaTypes.OciManifest,
            Manifest = manifest,
            Config = Encoding.UTF8.GetBytes("config of " + name),
            FilesystemDigest = Digest.Of(filesystem),
            Unit = Encoding.UTF8.GetBytes("unit of " + name),
            Layers = [.. layers.Select(l => l.Digest)],
            Order = [2, 0, 1],
            HotCount = 1,
            FileCount = 70_000,
            ContentBytes = 6_000_000_000,
            IndexedAt = new DateTimeOffset(2026, 3, 4, 5, 6, 7, 89, TimeSpan.Zero),
        };
    }

    public static Notification Single(string tag, IndexedImage image, params IndexedLayer[] layers) =>
        new(Reference(tag), Index: null, [new PlatformImage(image.Platform, image.Digest)], [image], layers);

    public static Notification Indexed(string tag, string indexName, IndexedLayer[] layers, params IndexedImage[] images)
    {
        byte[] raw = Encoding.UTF8.GetBytes("index " + indexName);
        return new Notification(Reference(tag), new IndexedIndex(Digest.Of(raw), MediaTypes.OciIndex, raw), [.. images.Select(i => new PlatformImage(i.Platform, i.Digest))], images, layers);
    }
}
