using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.Win32.SafeHandles;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.Sources;
using static Starlight.Infrastructure.IntegrationTests.Sources.SourceFixtures;

namespace Starlight.Infrastructure.IntegrationTests.Sources;

/// <summary>Truncated, bit-flipped and hostile inputs end in a typed failure, never in a hang, a crash or wrong bytes.</summary>
public sealed class DamagedInputTests : IDisposable
{
    private readonly SourceFixtures _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task Archive_CutAnywhere_FailsClearly()
    {
        byte[] layer = LayerTar("etc/one", new string('x', 3000));
        byte[] tar = Tar(Layout((null, layer)));
        byte[] gzip = Gzip(tar);
        int content = tar.AsSpan().LastIndexOfAnyExcept((byte)0) + 1;
        for (int length = 0; length < content; length += 97)
        {
            await ReadOrFailAsync(tar[..length], layer, mayBeWhole: false);
        }

        // GZipStream takes the end of its input for the end of the data. All that is handed out has been checked against digests, so a cut can only
        // pass if it took nothing but padding.
        for (int length = 0; length < gzip.Length; length += 13)
        {
            await ReadOrFailAsync(gzip[..length], layer, mayBeWhole: length > gzip.Length - 64);
        }
    }

    [Fact]
    public async Task Archive_WithFlippedBits_GivesTheRightBytesOrFailsClearly()
    {
        byte[] layer = LayerTar("etc/one", "content");
        byte[] tar = Tar(Layout((null, layer)));
        Random random = new(20260101);
        for (int i = 0; i < 400; i++)
        {
            byte[] damaged = [.. tar];
            damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            await ReadOrFailAsync(damaged, layer, mayBeWhole: true);
        }
    }

    [Fact]
    public void TarIndex_OfAnyBytesWithARightChecksum_EndsWithAnIndexOrAFailure() =>
        Prop.ForAll<byte[], byte>((noise, type) =>
        {
            byte[] archive = new byte[512 + Math.Max(512, noise.Length)];
            noise.AsSpan(0, Math.Min(noise.Length, 512)).CopyTo(archive);
            noise.CopyTo(archive, 512);
            archive[156] = type;
            WriteChecksum(archive);
            string path = _files.WriteFile("noise.tar", archive);
            using SafeFileHandle handle = File.OpenHandle(path);
            try
            {
                TarIndex.Build(handle, "noise", CancellationToken.None);
            }
            catch (FailureException e)
            {
                e.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
            }
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData((byte)'L')]
    [InlineData((byte)'x')]
    [InlineData((byte)'0')]
    public void TarIndex_WhenAnEntryClaimsMoreThanThereIs_FailsWithoutReservingIt(byte type)
    {
        byte[] archive = new byte[2048];
        "name"u8.CopyTo(archive);
        "77777777777\0"u8.CopyTo(archive.AsSpan(124));
        archive[156] = type;
        WriteChecksum(archive);
        using SafeFileHandle handle = File.OpenHandle(_files.WriteFile("big.tar", archive));

        Should.Throw<FailureException>(() => TarIndex.Build(handle, "big", CancellationToken.None)).Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    [Fact]
    public void TarIndex_WhenLinksGoInACircle_FindsNothing()
    {
        byte[] archive = new byte[2048];
        foreach ((int at, string name, string target) in new[] { (0, "a", "b"), (512, "b", "a") })
        {
            Encoding.ASCII.GetBytes(name).CopyTo(archive, at);
            Encoding.ASCII.GetBytes(target).CopyTo(archive, at + 157);
            archive[at + 156] = (byte)'2';
            WriteChecksum(archive.AsSpan(at, 512));
        }

        using SafeFileHandle handle = File.OpenHandle(_files.WriteFile("circle.tar", archive));

        TarIndex.Build(handle, "circle", CancellationToken.None).Find("a").ShouldBeNull();
    }

    [Theory]
    [InlineData("""{"manifests":[],"layers":[]}""", MediaTypes.OciManifest, "Manifest.Ambiguous")]
    [InlineData("""{"manifests":[]}""", MediaTypes.OciManifest, "Manifest.Ambiguous")]
    [InlineData("""{"config":{},"layers":[]}""", MediaTypes.OciIndex, "Manifest.Ambiguous")]
    [InlineData("""{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}""", MediaTypes.OciManifest, "Manifest.Ambiguous")]
    [InlineData("""{"mediaType":"application/vnd.example","layers":[]}""", "application/json", "Manifest.Unsupported")]
    [InlineData("""{"schemaVersion":1,"fsLayers":[]}""", "application/json", "Manifest.SchemaOne")]
    [InlineData("""{"layers":[]}""", "application/vnd.docker.distribution.manifest.v1+prettyjws", "Manifest.SchemaOne")]
    [InlineData("[]", null, "Manifest.Malformed")]
    [InlineData("{", null, "Manifest.Malformed")]
    public void Manifest_ThatIsNotOneThingForEveryReader_IsRefused(string json, string? declared, string code) =>
        Should.Throw<FailureException>(() => ManifestDocument.Read(Encoding.UTF8.GetBytes(json), declared, "test")).Error.Code.ShouldBe(code);

    [Theory]
    [InlineData("""{"manifests":[]}""", null, MediaTypes.OciIndex)]
    [InlineData("""{"config":{},"layers":[]}""", "text/plain", MediaTypes.OciManifest)]
    [InlineData("""{"config":{},"layers":[]}""", MediaTypes.DockerManifest, MediaTypes.DockerManifest)]
    [InlineData("""{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}""", "application/json", MediaTypes.DockerManifestList)]
    public void Manifest_TakesItsTypeFromWhatStatesIt(string json, string? declared, string expected) =>
        ManifestDocument.Read(Encoding.UTF8.GetBytes(json), declared, "test").MediaType.ShouldBe(expected);

    private static void WriteChecksum(Span<byte> header)
    {
        header.Slice(148, 8).Fill((byte)' ');
        int sum = 0;
        foreach (byte b in header[..512])
        {
            sum += b;
        }

        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(header[148..]);
    }

    private async Task ReadOrFailAsync(byte[] archive, byte[] layer, bool mayBeWhole)
    {
        string path = _files.WriteFile("damaged.tar", archive);
        try
        {
            await using IImageSource source = await _files.OpenAsync(path);
            (await ReadImageAsync(source)).Layers.ShouldHaveSingleItem().ShouldBe(layer);
            mayBeWhole.ShouldBeTrue($"an archive of {archive.Length} bytes was read as a whole one");
        }
        catch (FailureException e)
        {
            e.Error.Kind.ShouldBeOneOf(ErrorKind.DataCorrupt, ErrorKind.NotFound, ErrorKind.InvalidInput, ErrorKind.Unsupported, ErrorKind.ResourceExhausted);
        }
    }
}
