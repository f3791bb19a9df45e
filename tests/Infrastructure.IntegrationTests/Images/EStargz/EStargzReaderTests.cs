using System.Text;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.EStargz;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.EStargz;

public sealed class EStargzReaderTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Read_WhenWrittenByUs_GivesTheSameEntriesAsTheTar()
    {
        byte[] tar = new TarBuilder().Directory("d/").Pax('x', ("mtime", "1700000000.123456789"), ("SCHILY.xattr.user.b", "2"), ("SCHILY.xattr.user.a", "1")).File("d/f", "text", 0x9ed)
            .File("d/empty", "").Symlink("s", "../x").HardLink("h", "d/f").Header(new TarHeaderFields("dev") { Type = '4', DeviceMajor = 8, DeviceMinor = 300 }).Build();
        (byte[] blob, ConvertedLayerInfo info) = await ConvertAsync(tar);

        EStargzToc toc = (await ReadAsync(blob, info.TocDigest)).ShouldNotBeNull();

        LayerBlobs.Text(toc.Files.Select(f => f.Entry)).ShouldBe(LayerBlobs.Text((await LayerBlobs.ScanAsync(tar)).Entries));
        (toc.Digest, toc.Prioritized, toc.NamesAreExact).ShouldBe((info.TocDigest, 0, true));
    }

    [Fact]
    public async Task Read_WhenNamesAreNotUtf8_SaysThatTheyAreNotExact() =>
        (await ReadAsync((await ConvertAsync(new TarBuilder().File("\u00ff", "x").Build())).Blob)).ShouldNotBeNull().NamesAreExact.ShouldBeFalse();

    [Fact]
    public async Task Read_WhenTocIsAnother_Fails() =>
        (await Should.ThrowAsync<FailureException>(async () => await ReadAsync((await ConvertAsync(new TarBuilder().File("f", "x").Build())).Blob, Digest.Of("other"u8)))).Message.ShouldContain("digest");

    [Fact]
    public async Task Read_WhenBlobIsAnOrdinaryLayer_GivesNull()
    {
        (await ReadAsync(LayerBlobs.Gzip(new TarBuilder().Build()))).ShouldBeNull();
        (await ReadAsync([1, 2, 3])).ShouldBeNull();
        (await ReadAsync([])).ShouldBeNull();
    }

    [Fact]
    public async Task Read_WhenPayloadsShareMembers_KeepsTheirInnerOffsets()
    {
        string json = $$"""
            {"version":1,"unknown":{"x":1},"entries":[{"name":".prefetch.landmark","type":"reg","size":1,"offset":40,"chunkDigest":"{{Digest.Of([15])}}"},
            {"name":"a","type":"reg","size":3,"mode":420,"offset":40,"innerOffset":512,"chunkDigest":"{{Digest.Of("aaa"u8)}}"},
            {"name":"b","type":"reg","size":5,"offset":40,"innerOffset":1024,"chunkSize":2,"chunkDigest":"{{Digest.Of("b"u8)}}","digest":"{{Digest.Of("bb"u8)}}"},
            {"name":"b","type":"chunk","offset":50,"chunkOffset":2,"chunkDigest":"{{Digest.Of("c"u8)}}"}]}
            """;

        EStargzToc toc = (await ReadAsync(Blob(json))).ShouldNotBeNull();

        toc.Files.SelectMany(f => f.Chunks).Select(c => (c.Offset, c.End, c.InnerOffset, c.Position, c.Length)).ShouldBe([(40, 50, 512, 0, 3), (40, 50, 1024, 0, 2), (50, toc.Offset, 0, 2, 3)]);
        toc.Files[0].Entry.Content.ShouldBe(Digest.Of("aaa"u8));
    }

    [Theory]
    [InlineData("""{"version":2,"entries":[]}""", "version")]
    [InlineData("""{"version":1}""", "version")]
    [InlineData("""{"version":1,"entries":[""", "JSON")]
    [InlineData("""{"version":1,"entries":[null]}""", "null")]
    [InlineData("""{"version":1,"entries":[{"name":"a","type":"what"}]}""", "type")]
    [InlineData("""{"version":1,"entries":[{"type":"dir"}]}""", "all of")]
    [InlineData("""{"version":1,"entries":[{"name":"a","type":"reg","size":-1}]}""", "all of")]
    [InlineData("""{"version":1,"entries":[{"name":"a","type":"reg","size":9,"offset":99999}]}""", "fit")]
    [InlineData("""{"version":1,"entries":[{"name":"a","type":"reg","size":9,"offset":40,"chunkSize":10}]}""", "fit")]
    [InlineData("""{"version":1,"entries":[{"name":"a","type":"reg","size":9,"offset":40}]}""", "no digest")]
    [InlineData("""{"version":1,"entries":[{"name":"a","type":"chunk"}]}""", "no file")]
    [InlineData("""{"version":1,"entries":[{"name":"a","type":"dir","modtime":"yesterday"}]}""", "time")]
    [InlineData("""{"version":1,"entries":[{"name":"a","type":"dir","uid":-1}]}""", "JSON")]
    public async Task Read_WhenTocIsBroken_SaysHow(string json, string reason)
    {
        FailureException failure = await Should.ThrowAsync<FailureException>(() => ReadAsync(Blob(json)));

        failure.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        failure.Message.ShouldContain(reason);
    }

    [Fact]
    public async Task Read_WhenTocIsInAnotherImage_SaysSo()
    {
        byte[] blob = [.. new byte[100], .. Convert.FromHexString("1f8b08040000000000ff1500"), (byte)'S', (byte)'G', 17, 0, .. "STARGZEXTERNALTOC"u8, .. Convert.FromHexString("010000ffff0000000000000000")];

        (await Should.ThrowAsync<FailureException>(() => ReadAsync(blob))).Error.Kind.ShouldBe(ErrorKind.Unsupported);
    }

    [Fact]
    public async Task Read_WhenBitsFlip_FailsCleanly()
    {
        (byte[] original, ConvertedLayerInfo info) = await ConvertAsync(new TarBuilder().File("a", new string('a', 5000)).Symlink("b", "a").Build());
        Random random = new(99);
        for (int round = 0; round < 2000; round++)
        {
            byte[] blob = [.. original];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
            {
                blob[random.Next(blob.Length)] ^= (byte)(1 << random.Next(8));
            }

            blob = random.Next(5) == 0 ? blob[..random.Next(blob.Length)] : blob;
            try
            {
                await ReadAsync(blob, round % 2 == 0 ? info.TocDigest : null);
            }
            catch (FailureException e)
            {
                e.Error.Kind.ShouldBeOneOf(ErrorKind.DataCorrupt, ErrorKind.ResourceExhausted, ErrorKind.Unsupported);
            }
        }
    }

    [Fact]
    public async Task Convert_WhenLayerIsEStargzAndSaysSo_KeepsItAsItIs()
    {
        (byte[] blob, ConvertedLayerInfo info) = await ConvertAsync(new TarBuilder().File("a", "a").Build());

        using ConvertedLayer again = await ConvertAsync(blob, info.TocDigest);
        using ConvertedLayer wrongToc = await ConvertAsync(blob, Digest.Of("x"u8));
        using ConvertedLayer notEStargz = await ConvertAsync(LayerBlobs.Gzip(new TarBuilder().File("a", "a").Build()), info.TocDigest);

        (again.Info.IsUnchanged, again.Info.Digest, again.Info.DiffId, again.Entries.Count).ShouldBe((true, Digest.Of(blob), info.DiffId, 1));
        (wrongToc.Info.IsUnchanged, wrongToc.Info.Digest).ShouldBe((false, info.Digest));
        (notEStargz.Info.IsUnchanged, notEStargz.Info.Digest).ShouldBe((false, info.Digest));
    }

    [Fact]
    public async Task Convert_WhenEStargzLacksItsLandmark_RewritesIt()
    {
        byte[] blob = Blob("""{"version":1,"entries":[]}""");

        using ConvertedLayer layer = await ConvertAsync(blob, Digest.Of("""{"version":1,"entries":[]}"""u8));

        layer.Info.IsUnchanged.ShouldBeFalse();
        layer.Entries.ShouldBeEmpty();
    }

    private static Task<EStargzToc?> ReadAsync(byte[] blob, Digest? expected = null) => EStargzReader.TryReadAsync(EStargzWriterTests.Ranges(blob), blob.Length, expected, CancellationToken.None);

    /// <summary>A blob of 100 bytes of payload, the TOC and a footer.</summary>
    private static byte[] Blob(string json)
    {
        byte[] head = LayerBlobs.Gzip(new byte[512 * 3]);
        byte[] padded = [.. head, .. Enumerable.Range(0, 100).SelectMany(_ => LayerBlobs.Gzip([0]))];
        head = json.Contains("\"entries\":[]", StringComparison.Ordinal) ? LayerBlobs.Gzip(new TarBuilder().BuildWithoutEnd()) : padded;
        return [.. head, .. LayerBlobs.Gzip(new TarBuilder().File("stargz.index.json", Encoding.UTF8.GetBytes(json)).Build()), .. EStargzFooter.Encode(head.Length)];
    }

    private async Task<(byte[] Blob, ConvertedLayerInfo Info)> ConvertAsync(byte[] tar)
    {
        using EStargzConverter converter = new(new EStargzConverterOptions(_scratch.Path));
        using ConvertedLayer layer = await converter.ConvertAsync(new MemoryStream(tar), new Descriptor(MediaTypes.OciLayer, default, 0), files: null, progress: null, CancellationToken.None);
        using MemoryStream blob = new();
        await layer.Open().CopyToAsync(blob);
        return (blob.ToArray(), layer.Info);
    }

    private async Task<ConvertedLayer> ConvertAsync(byte[] blob, Digest tocDigest)
    {
        using EStargzConverter converter = new(new EStargzConverterOptions(_scratch.Path));
        Descriptor descriptor = new(MediaTypes.OciLayerGzip, Digest.Of(blob), blob.Length)
        {
            Annotations = new Dictionary<string, string>(StringComparer.Ordinal) { [StarlightAnnotations.TocDigest] = tocDigest.ToString() },
        };
        return await converter.ConvertAsync(new DribblingStream(blob), descriptor, files: null, progress: null, CancellationToken.None);
    }
}
