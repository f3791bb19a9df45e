using System.Formats.Tar;
using System.Text;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using static Starlight.Infrastructure.IntegrationTests.Registry.RegistryHarness;
using static Starlight.Infrastructure.IntegrationTests.Sources.SourceFixtures;

namespace Starlight.Infrastructure.IntegrationTests.Sources;

public sealed class DockerArchiveTests : IDisposable
{
    private static readonly byte[] Base = LayerTar("etc/base", "base");
    private static readonly byte[] Top = LayerTar("etc/top", "top");

    private readonly SourceFixtures _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task Image_GetsASchema2ManifestOfItsFiles()
    {
        await using IImageSource source = await _files.OpenAsync(Write("a.tar", Files(Config(Base, Top))));

        (ManifestBlob manifest, byte[] config, IReadOnlyList<byte[]> layers) = await ReadImageAsync(source);

        config.ShouldBe(Config(Base, Top));
        layers.ShouldBe([Base, Top]);
        Encoding.UTF8.GetString(manifest.Raw.Span).ShouldBe(
            $$"""{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":{{config.Length}},"digest":"{{Digest.Of(config)}}"},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":{{Base.Length}},"digest":"{{Digest.Of(Base)}}"},{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":{{Top.Length}},"digest":"{{Digest.Of(Top)}}"}]}""");
        (await source.GetManifestAsync(manifest.Descriptor, CancellationToken.None)).Digest.ShouldBe(manifest.Digest);
    }

    [Fact]
    public async Task Image_InAGzippedArchive_HasTheSameDigest()
    {
        (string, byte[])[] files = Files(Config(Base, Top));
        await using IImageSource plain = await _files.OpenAsync(Write("a.tar", files));
        await using IImageSource zipped = await _files.OpenAsync(_files.WriteFile("b.tar.gz", Gzip(Tar(files))));

        (await zipped.ResolveAsync(CancellationToken.None)).Digest.ShouldBe((await plain.ResolveAsync(CancellationToken.None)).Digest);
    }

    [Fact]
    public async Task Layer_ThatIsCompressed_IsTakenAsItIs()
    {
        byte[] zipped = Gzip(Top);
        await using IImageSource source = await _files.OpenAsync(Write("a.tar", Files(Config(Base, Top), top: zipped)));

        ManifestBlob blob = await source.ResolveAsync(CancellationToken.None);

        ImageManifest.Parse(blob.Raw).Value.Layers[1].ShouldSatisfyAllConditions(
            l => l.MediaType.ShouldBe(MediaTypes.DockerLayerGzip), l => l.Digest.ShouldBe(Digest.Of(zipped)), l => l.Size.ShouldBe(zipped.Length));
    }

    [Fact]
    public async Task Layer_ThatIsALinkToAnother_IsThatOnesContent()
    {
        using MemoryStream raw = new();
        using (TarWriter writer = new(raw, TarEntryFormat.Gnu, leaveOpen: true))
        {
            void Add(string name, byte[] content) => writer.WriteEntry(new GnuTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content) });
            byte[] config = Config(Base, Base, Base);
            Add($"{Digest.Of(config).Hex}.json", config);
            Add("one/layer.tar", Base);
            writer.WriteEntry(new GnuTarEntry(TarEntryType.SymbolicLink, "two/layer.tar") { LinkName = "../one/layer.tar" });
            writer.WriteEntry(new GnuTarEntry(TarEntryType.HardLink, "three/layer.tar") { LinkName = "one/layer.tar" });
            Add("manifest.json", ManifestJson(config, "one/layer.tar", "two/layer.tar", "three/layer.tar"));
        }

        await using IImageSource source = await _files.OpenAsync(_files.WriteFile("a.tar", raw.ToArray()));

        (await ReadImageAsync(source)).Layers.ShouldBe([Base, Base, Base]);
    }

    [Fact]
    public async Task LongNames_OfEveryTarFormat_AreFound()
    {
        foreach (TarEntryFormat format in new[] { TarEntryFormat.Pax, TarEntryFormat.Gnu, TarEntryFormat.Ustar })
        {
            string layer = format == TarEntryFormat.Ustar ? $"{new string('d', 90)}/{new string('e', 60)}/layer.tar" : $"{new string('ä', 150)}/layer.tar";
            byte[] config = Config(Base);
            using MemoryStream raw = new();
            using (TarWriter writer = new(raw, format, leaveOpen: true))
            {
                foreach ((string name, byte[] content) in new[] { (layer, Base), ("./config.json", config), ("./manifest.json", ManifestJson(config, "config.json", [layer])) })
                {
                    TarEntry entry = format switch
                    {
                        TarEntryFormat.Pax => new PaxTarEntry(TarEntryType.RegularFile, name),
                        TarEntryFormat.Gnu => new GnuTarEntry(TarEntryType.RegularFile, name),
                        _ => new UstarTarEntry(TarEntryType.RegularFile, name),
                    };
                    entry.DataStream = new MemoryStream(content);
                    writer.WriteEntry(entry);
                }
            }

            await using IImageSource source = await _files.OpenAsync(_files.WriteFile($"{format}.tar", raw.ToArray()));

            (await ReadImageAsync(source)).Layers.ShouldHaveSingleItem().ShouldBe(Base, format.ToString());
        }
    }

    [Theory]
    [InlineData("redis:7")]
    [InlineData("docker.io/library/redis:7")]
    public async Task SeveralImages_AreToldApartByTheirTags(string tag)
    {
        string path = Write("many.tar", Many());

        await using IImageSource source = await _files.OpenAsync($"{path}:{tag}");

        (await ReadImageAsync(source)).Layers.ShouldHaveSingleItem().ShouldBe(Top);
    }

    [Fact]
    public async Task SeveralImages_WithoutATag_AreListed()
    {
        await using IImageSource source = await _files.OpenAsync(Write("many.tar", Many()));

        Error error = await FailureOfAsync(() => source.ResolveAsync(CancellationToken.None));

        error.Code.ShouldBe("Source.TagNeeded");
        error.Message.ShouldContain("'redis:6', 'redis:7'");
    }

    [Fact]
    public async Task Config_ThatIsNotWhatItsNameSays_IsDataCorrupt()
    {
        (string Name, byte[] Content)[] files = Files(Config(Base, Top));
        files[0].Content[^2] ^= 1;
        await using IImageSource source = await _files.OpenAsync(Write("a.tar", files));

        (await FailureOfAsync(() => source.ResolveAsync(CancellationToken.None))).Code.ShouldBe("Source.BlobMismatch");
    }

    [Fact]
    public async Task Layer_ThatIsNotTheConfigurations_IsDataCorrupt()
    {
        await using IImageSource source = await _files.OpenAsync(Write("a.tar", Files(Config(Base, Top), top: Base)));

        (await FailureOfAsync(() => source.ResolveAsync(CancellationToken.None))).Code.ShouldBe("Source.BlobMismatch");
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("nonsense")]
    [InlineData("""[{"Config":"../../../etc/passwd","Layers":[]}]""")]
    [InlineData("""[{"Config":"c.json","Layers":["/etc/passwd"]}]""")]
    public async Task ManifestJson_WhenUnusable_IsAClearFailureAndNeverAFileOfThisMachine(string json)
    {
        await using IImageSource source = await _files.OpenAsync(Write("a.tar", [("manifest.json", Encoding.UTF8.GetBytes(json)), ("c.json", Config(Base))]));

        (await FailureOfAsync(() => source.ResolveAsync(CancellationToken.None))).Kind.ShouldBeOneOf(ErrorKind.DataCorrupt, ErrorKind.NotFound);
    }

    private static byte[] ManifestJson(byte[] config, params string[] layers) => ManifestJson(config, $"{Digest.Of(config).Hex}.json", layers);

    private static byte[] ManifestJson(byte[] config, string configName, string[] layers) =>
        Encoding.UTF8.GetBytes($$"""[{"Config":"{{configName}}","RepoTags":null,"Layers":[{{string.Join(',', layers.Select(l => $"\"{l}\""))}}]}]""");

    private static (string Name, byte[] Content)[] Files(byte[] config, byte[]? top = null) =>
    [
        ($"{Digest.Of(config).Hex}.json", config),
        ("base/layer.tar", Base),
        ("top/layer.tar", top ?? Top),
        ("manifest.json", ManifestJson(config, "base/layer.tar", "top/layer.tar")),
    ];

    private static (string Name, byte[] Content)[] Many() =>
    [
        ("a.json", Config(Base)),
        ("b.json", Config(Top)),
        ("base/layer.tar", Base),
        ("top/layer.tar", Top),
        ("manifest.json", """[{"Config":"a.json","RepoTags":["redis:6"],"Layers":["base/layer.tar"]},{"Config":"b.json","RepoTags":["redis:7"],"Layers":["top/layer.tar"]}]"""u8.ToArray()),
    ];

    private string Write(string name, (string Name, byte[] Content)[] files) => _files.WriteFile(name, Tar(files));
}
