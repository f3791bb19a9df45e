using System.Text;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using static Starlight.Infrastructure.IntegrationTests.Registry.RegistryHarness;
using static Starlight.Infrastructure.IntegrationTests.Sources.SourceFixtures;

namespace Starlight.Infrastructure.IntegrationTests.Sources;

public sealed class OciLayoutTests : IDisposable
{
    private static readonly byte[] LayerOne = LayerTar("etc/one", "1");
    private static readonly byte[] LayerTwo = LayerTar("etc/two", "2");

    private readonly SourceFixtures _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task Directory_WithOneImage_NeedsNoTag()
    {
        string directory = _files.WriteDirectory("layout", Layout((null, LayerOne)));

        await using IImageSource source = await _files.OpenAsync("oci:" + directory);
        (ManifestBlob manifest, byte[] config, IReadOnlyList<byte[]> layers) = await ReadImageAsync(source);

        source.DisplayName.ShouldBe("oci:" + directory);
        manifest.MediaType.ShouldBe(MediaTypes.OciManifest);
        config.ShouldBe(Config(LayerOne));
        layers.ShouldHaveSingleItem().ShouldBe(LayerOne);
    }

    [Theory]
    [InlineData("1")]
    [InlineData("redis:2")]
    [InlineData("docker.io/library/redis:2")]
    public async Task Directory_WithSeveralImages_GivesTheOneNamed(string tag)
    {
        string directory = _files.WriteDirectory("layout", Layout(("1", LayerOne), ("docker.io/library/redis:2", LayerTwo)));

        await using IImageSource source = await _files.OpenAsync($"oci:{directory}:{tag}");

        (await ReadImageAsync(source)).Layers[0].ShouldBe(tag == "1" ? LayerOne : LayerTwo);
    }

    [Fact]
    public async Task Directory_WithSeveralImages_AndNoTag_ListsThem()
    {
        string directory = _files.WriteDirectory("layout", Layout(("1", LayerOne), ("2", LayerTwo)));
        await using IImageSource source = await _files.OpenAsync("oci:" + directory);

        Error error = await FailureOfAsync(() => source.ResolveAsync(CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.InvalidInput);
        error.Message.ShouldContain("'1', '2'");
    }

    [Fact]
    public async Task Directory_WithAnotherTag_IsNotFound()
    {
        string directory = _files.WriteDirectory("layout", Layout(("1", LayerOne)));
        await using IImageSource source = await _files.OpenAsync($"oci:{directory}:9");

        (await FailureOfAsync(() => source.ResolveAsync(CancellationToken.None))).ShouldSatisfyAllConditions(
            e => e.Kind.ShouldBe(ErrorKind.NotFound), e => e.Message.ShouldContain("'9'"));
    }

    [Theory]
    [InlineData("image.tar")]
    [InlineData("image.tar.gz")]
    [InlineData("image.tgz")]
    public async Task Archive_IsReadInPlaceOrUnpacked_AndLeavesNothingBehind(string name)
    {
        byte[] tar = Tar(Layout((null, LayerOne)));
        string path = _files.WriteFile(name, name.EndsWith(".tar", StringComparison.Ordinal) ? tar : Gzip(tar));

        await using (IImageSource source = await _files.OpenAsync(path))
        {
            Directory.EnumerateFiles(Path.GetTempPath(), "starlight-*.tar").ShouldBeEmpty();
            (await ReadImageAsync(source)).Layers[0].ShouldBe(LayerOne);
        }
    }

    [Fact]
    public async Task Archive_WithATag_GivesTheImageNamed()
    {
        string path = _files.WriteFile("image.tar", Tar(Layout(("1", LayerOne), ("2", LayerTwo))));

        await using IImageSource source = await _files.OpenAsync(path + ":2");

        (await ReadImageAsync(source)).Layers[0].ShouldBe(LayerTwo);
    }

    [Fact]
    public async Task Ranges_AreThePartsOfTheBlob()
    {
        string path = _files.WriteFile("image.tar", Tar(Layout((null, LayerOne))));
        await using IImageSource source = await _files.OpenAsync(path);
        Descriptor layer = new(MediaTypes.OciLayer, Digest.Of(LayerOne), LayerOne.Length);

        await using Stream part = await source.OpenBlobRangeAsync(layer, 257, 5, CancellationToken.None);
        using StreamReader text = new(part);

        (await text.ReadToEndAsync()).ShouldBe("ustar");
        await Should.ThrowAsync<ArgumentOutOfRangeException>(() => source.OpenBlobRangeAsync(layer, layer.Size, 1, CancellationToken.None));
    }

    [Fact]
    public async Task Blob_WhenDamaged_FailsAtItsEnd()
    {
        string directory = _files.WriteDirectory("layout", Layout((null, LayerOne)));
        byte[] damaged = [.. LayerOne];
        damaged[600] ^= 1;
        await File.WriteAllBytesAsync(Path.Combine(directory, "blobs/sha256", Digest.Of(LayerOne).Hex), damaged);
        await using IImageSource source = await _files.OpenAsync("oci:" + directory);

        Error error = await FailureOfAsync(() => ReadImageAsync(source));

        error.Code.ShouldBe("Source.BlobMismatch");
        error.Message.ShouldContain(Digest.Of(LayerOne).Hex);
    }

    [Fact]
    public async Task Blob_WhenMissingOrOfAnotherSize_SaysSo()
    {
        string directory = _files.WriteDirectory("layout", Layout((null, LayerOne)));
        await using IImageSource source = await _files.OpenAsync("oci:" + directory);

        (await FailureOfAsync(() => source.OpenBlobAsync(new Descriptor("x", Digest.Of("none"u8), 4), CancellationToken.None))).Code.ShouldBe("Source.BlobUnknown");
        (await FailureOfAsync(() => source.OpenBlobAsync(new Descriptor("x", Digest.Of(LayerOne), 4), CancellationToken.None))).Code.ShouldBe("Source.BlobMismatch");
    }

    [Theory]
    [InlineData("oci:/nonexistent/dir", ErrorKind.NotFound)]
    [InlineData("/nonexistent/image.tar", ErrorKind.NotFound)]
    [InlineData("oci:/etc", ErrorKind.InvalidInput)]
    [InlineData("Not A Reference", ErrorKind.InvalidInput)]
    [InlineData("", ErrorKind.InvalidInput)]
    public async Task Open_OfWhatIsNoImage_SaysWhatItIsNot(string location, ErrorKind kind)
    {
        Error error = await FailureOfAsync(() => _files.OpenAsync(location));

        error.Kind.ShouldBe(kind);
        error.Message.ShouldNotContain("\n");
    }

    [Fact]
    public async Task Open_OfAReference_IsTheRegistrysImage()
    {
        await using IImageSource source = await _files.OpenAsync("redis:7");

        source.DisplayName.ShouldBe("docker.io/library/redis:7");
    }

    [Theory]
    [InlineData("{", ErrorKind.DataCorrupt)]
    [InlineData("""{"schemaVersion":2,"manifests":[]}""", ErrorKind.NotFound)]
    [InlineData("""{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:../../etc/passwd","size":1}]}""", ErrorKind.DataCorrupt)]
    public async Task Index_WhenUnusable_SaysWhy(string index, ErrorKind kind)
    {
        string directory = _files.WriteDirectory("layout", [("index.json", Encoding.UTF8.GetBytes(index))]);
        await using IImageSource source = await _files.OpenAsync("oci:" + directory);

        (await FailureOfAsync(() => source.ResolveAsync(CancellationToken.None))).Kind.ShouldBe(kind);
    }

    /// <summary>Images that other tools make: umoci the layout, skopeo the archives, from one root file system.</summary>
    [Fact]
    public async Task ImagesOfOtherTools_ReadTheSameFromEveryTransport()
    {
        _files.Run("umoci", "init", "--layout", _files.At("made"));
        _files.Run("umoci", "new", "--image", _files.At("made") + ":v1");
        Directory.CreateDirectory(_files.At("content/bin"));
        await File.WriteAllTextAsync(_files.At("content/bin/hello"), "hello");
        _files.Run("umoci", "insert", "--rootless", "--image", _files.At("made") + ":v1", _files.At("content"), "/");
        await File.WriteAllTextAsync(_files.At("content/bin/hello"), "hello again");
        _files.Run("umoci", "insert", "--rootless", "--image", _files.At("made") + ":v1", _files.At("content"), "/opt");
        _files.Run("skopeo", "copy", $"oci:{_files.At("made")}:v1", $"oci-archive:{_files.At("oci.tar")}:v1");
        _files.Run("skopeo", "copy", $"oci:{_files.At("made")}:v1", $"docker-archive:{_files.At("docker.tar")}:example.org/made:v1");

        await using IImageSource layout = await _files.OpenAsync($"oci:{_files.At("made")}:v1");
        await using IImageSource archive = await _files.OpenAsync(_files.At("oci.tar"));
        await using IImageSource docker = await _files.OpenAsync(_files.At("docker.tar"));
        (ManifestBlob Manifest, byte[] Config, IReadOnlyList<byte[]> Layers) a = await ReadImageAsync(layout);
        (ManifestBlob Manifest, byte[] Config, IReadOnlyList<byte[]> Layers) b = await ReadImageAsync(archive);
        (ManifestBlob Manifest, byte[] Config, IReadOnlyList<byte[]> Layers) c = await ReadImageAsync(docker);

        b.Manifest.Digest.ShouldBe(a.Manifest.Digest);
        a.Layers.Count.ShouldBe(2);
        c.Layers.Count.ShouldBe(2);
        c.Manifest.MediaType.ShouldBe(MediaTypes.DockerManifest);
        c.Layers.Select(l => Digest.Of(l)).ShouldBe(ImageConfig.Parse(a.Config).Value.DiffIds);
    }
}
