using System.Text;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Images;

namespace Starlight.Application.UnitTests.Pull;

/// <summary>An image of a bundle whose digests all fit, to be bent by tests.</summary>
internal static class SampleImage
{
    public static readonly Digest DiffId = Digest.Of("layer"u8);
    public static readonly byte[] Filesystem = [1, 2, 3];

    public static byte[] Config(string architecture = "amd64", int layers = 1) => Encoding.UTF8.GetBytes(
        $$"""{"os":"linux","architecture":"{{architecture}}","rootfs":{"type":"layers","diff_ids":[{{string.Join(',', Enumerable.Repeat($"\"{DiffId}\"", layers))}}]} }""");

    /// <param name="below">What the manifest says of the tree after its lowest layer.</param>
    public static byte[] Manifest(byte[] config, Digest? filesystem = null, int layers = 1, Digest? below = null) => Encoding.UTF8.GetBytes(
        $$"""
        {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}",
         "config":{"mediaType":"{{MediaTypes.OciConfig}}","digest":"{{Digest.Of(config)}}","size":{{config.Length}} },
         "layers":[{{string.Join(',', Enumerable.Repeat($$"""{"mediaType":"{{MediaTypes.OciLayerGzip}}","digest":"{{DiffId}}","size":100{{(below is null ? "" : $$""","annotations":{"{{StarlightAnnotations.FilesystemDigest}}":"{{below}}"}""")}} }""", layers))}}],
         "annotations":{"{{StarlightAnnotations.FilesystemDigest}}":"{{filesystem ?? Digest.Of(Filesystem)}}"} }
        """);

    public static byte[] Index(byte[] manifest) => Encoding.UTF8.GetBytes(
        $$"""
        {"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}",
         "manifests":[{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of(manifest)}}","size":{{manifest.Length}},"platform":{"os":"linux","architecture":"amd64"} }]}
        """);

    public static BundleImage Bundle(byte[] manifest, byte[] config, byte[]? index = null) => index is null
        ? new BundleImage { Manifest = manifest, ManifestMediaType = MediaTypes.OciManifest, Config = config, FilesystemImage = Filesystem, FilesystemDigest = Digest.Of(Filesystem) }
        : Bundle(manifest, config) with { Index = index, IndexMediaType = MediaTypes.OciIndex };

    public static BundleImage Good() => Bundle(Manifest(Config()), Config());
}
