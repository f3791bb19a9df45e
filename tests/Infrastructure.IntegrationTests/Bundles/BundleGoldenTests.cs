using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Compression;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

/// <summary>
/// The format's bytes, kept in the repository: a bundle written by any later version must be the same, and bundles written by this one must stay readable. Another
/// file is right only together with a new format version.
/// </summary>
public sealed class BundleGoldenTests
{
    /// <summary>The library that wrote the compressed sample: its frames are only comparable byte by byte with those of the same version.</summary>
    private static readonly Version GoldenLibrary = new(1, 5, 4);

    [Fact]
    public async Task Write_WhenStored_GivesTheGoldenBytes()
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(level: 0);

        ApprovedFile.MatchesBytes("small-stored.golden", bundle);
    }

    [Fact]
    public async Task Write_WhenCompressed_GivesTheGoldenBytesWithTheSameLibrary()
    {
        byte[] bundle = await SampleBundle.Small().WriteAsync(level: 9);

        if (ZstdLibrary.Version == GoldenLibrary)
        {
            ApprovedFile.MatchesBytes("small-zstd.golden", bundle);
        }
    }

    [Theory]
    [InlineData("small-stored.golden")]
    [InlineData("small-zstd.golden")]
    public async Task Read_WhenGolden_GivesTheSample(string name)
    {
        SampleBundle sample = SampleBundle.Small();
        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(await File.ReadAllBytesAsync(PathOf(name))), CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents);
        CollectingSink sink = new();
        await reader.ReadContentsAsync(sink, CancellationToken.None);

        reader.Images.ShouldHaveSingleItem().Reference.ShouldBe("registry.test/small:1");
        reader.Images[0].FilesystemImage.ToArray().ShouldBe(sample.Images[0].FilesystemImage.ToArray());
        sink.Received.ShouldBe(sample.Plan().Contents.Select(c => c.Content));
    }

    /// <summary>RFC 3720, appendix B.4.</summary>
    [Fact]
    public void Checksum_WhenStandardVectors_IsCrc32C()
    {
        BundleFormat.Checksum(new byte[32]).ShouldBe(0x8a9136aau);
        BundleFormat.Checksum([.. Enumerable.Range(0, 32).Select(i => (byte)i)]).ShouldBe(0x46dd794eu);
        BundleFormat.Checksum("56789"u8, BundleFormat.Checksum("1234"u8)).ShouldBe(BundleFormat.Checksum("123456789"u8));
        BundleFormat.Checksum("123456789"u8).ShouldBe(0xe3069283u);
    }

    [Fact]
    public void Payload_WhenNumbersAreExtreme_GivesThemBack()
    {
        PayloadWriter writer = new();
        ulong[] numbers = [0, 127, 128, uint.MaxValue, ulong.MaxValue];
        int[] differences = [0, -1, 1, int.MinValue, int.MaxValue];
        foreach (ulong number in numbers)
        {
            writer.VarInt(number);
        }

        foreach (int difference in differences)
        {
            writer.ZigZag(difference);
        }

        PayloadReader reader = new(writer.Written.ToArray());
        foreach (ulong number in numbers)
        {
            reader.VarInt().ShouldBe(number);
        }

        foreach (int difference in differences)
        {
            reader.ZigZag().ShouldBe(difference);
        }

        reader.End();
    }

    private static string PathOf(string name)
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Starlight.sln")))
        {
            directory = directory.Parent;
        }

        return Path.Combine(directory.ShouldNotBeNull().FullName, "tests", "Infrastructure.IntegrationTests", "Bundles", name);
    }
}
