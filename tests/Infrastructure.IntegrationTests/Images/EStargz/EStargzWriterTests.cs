using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.EStargz;
using Starlight.Infrastructure.Images.Tar;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.EStargz;

/// <summary>The heap is the process's: what is measured in it must not have other tests beside it.</summary>
[CollectionDefinition(nameof(AloneInTheHeap), DisableParallelization = true)]
public sealed class AloneInTheHeap;

[Collection(nameof(AloneInTheHeap))]
public sealed class EStargzWriterTests : IDisposable
{
    private static readonly byte[] Small = new TarBuilder()
        .Directory("./bin/")
        .Header(new TarHeaderFields("./bin/hello") { Mode = 0x9ed, Size = 6, Uid = 1000, Gid = 50, Mtime = 1_700_000_000, UserName = "me", GroupName = "staff" }).Content("hello\n"u8.ToArray())
        .Pax('x', ("mtime", "1700000000.25"), ("SCHILY.xattr.user.a", "\u0001\u00ff"))
        .Header(new TarHeaderFields("./bin/empty") { Uid = 1000, Gid = 50, UserName = "me", GroupName = "other" })
        .Symlink("./sh", "bin/hello")
        .HardLink("./hard", "./bin/hello")
        .Header(new TarHeaderFields("./null") { Type = '3', DeviceMajor = 1, DeviceMinor = 3 })
        .Build();

    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Convert_WhenLayerIsSmall_GivesTheGoldenBlob()
    {
        (ConvertedLayerInfo info, byte[] blob) = await ConvertAsync(LayerBlobs.Gzip(Small));

        Toc(blob).ShouldBe(
            """{"version":1,"entries":["""
            + """{"name":".no.prefetch.landmark","type":"reg","size":1,"mode":0,"uid":0,"gid":0,"digest":"sha256:LANDMARK","offset":OFFSET0,"chunkDigest":"sha256:LANDMARK"},"""
                .Replace("LANDMARK", Digest.Of([0x0f]).Hex, StringComparison.Ordinal).Replace("OFFSET0", Members(blob)[1].ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            + """{"name":"./bin/","type":"dir","mode":493,"uid":0,"gid":0},"""
            + """{"name":"./bin/hello","type":"reg","size":6,"modtime":"2023-11-14T22:13:20Z","mode":2541,"uid":1000,"gid":50,"userName":"me","groupName":"staff","digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","offset":OFFSET1,"chunkDigest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"},"""
                .Replace("OFFSET1", Members(blob)[2].ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            + """{"name":"./bin/empty","type":"reg","modtime":"2023-11-14T22:13:20.25Z","mode":420,"uid":1000,"gid":50,"groupName":"other","xattrs":{"user.a":"Af8="},"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"""
            + """{"name":"./sh","type":"symlink","linkName":"bin/hello","mode":511,"uid":0,"gid":0},"""
            + """{"name":"./hard","type":"hardlink","linkName":"bin/hello","mode":420,"uid":0,"gid":0},"""
            + """{"name":"./null","type":"char","mode":420,"uid":0,"gid":0,"devMajor":1,"devMinor":3}]}""");

        // all of it, deflate included: another runtime's zlib would show here. Members: landmark header, landmark, hello, TOC, footer
        Members(blob).Count.ShouldBe(5);
        (info.Digest, info.DiffId).ShouldBe((Digest.Of(blob), Digest.Of(Gunzip(blob))));
        info.Digest.Hex.ShouldBe("8cc77a077894d2babc830d0aca1853c379f0fce99b30519f7b21282de0d0a6ef");
    }

    [Fact]
    public async Task Convert_WhenRepeated_GivesTheSameBytesHoweverTheSourceArrives()
    {
        byte[] tar = Big();
        (ConvertedLayerInfo first, byte[] blob) = await ConvertAsync(LayerBlobs.Gzip(tar));

        foreach (Stream source in new Stream[] { new DribblingStream(tar), new MemoryStream(tar), new DribblingStream([.. tar.Chunk(50_000).SelectMany(c => LayerBlobs.Gzip(c, CompressionLevel.Fastest))]) })
        {
            using ConvertedLayer again = await Converter().ConvertAsync(source, new Descriptor(MediaTypes.OciLayer, default, 0), files: null, progress: null, CancellationToken.None);
            again.Info.ShouldBe(first);
        }

        Digest.Of(blob).ShouldBe(first.Digest);
    }

    [Fact]
    public async Task Convert_WhenFileIsLarge_CutsItIntoChunksThatReadOnTheirOwn()
    {
        byte[] tar = Big();
        (_, byte[] blob) = await ConvertAsync(tar);

        EStargzToc toc = (await EStargzReader.TryReadAsync(Ranges(blob), blob.Length, null, CancellationToken.None)).ShouldNotBeNull();

        EStargzFile big = toc.Files.Single(f => f.Entry.Path.Raw == "big");
        big.Chunks.Select(c => c.Length).ShouldBe([4194304, 4194304, 1]);
        toc.Files.Single(f => f.Entry.Path.Raw == "exact").Chunks.Count.ShouldBe(2);
        foreach (EStargzFile file in toc.Files.Where(f => f.Entry.Size > 0))
        {
            byte[] content = [.. file.Chunks.SelectMany(c => ReadChunk(blob, c))];
            Digest.Of(content).ShouldBe(file.Entry.Content);
            file.Chunks.ShouldAllBe(c => Digest.Of(ReadChunk(blob, c)) == c.Digest);
        }

        // spec: the last chunk of a file has chunkSize zero, that is, none
        using JsonDocument json = JsonDocument.Parse(Toc(blob));
        JsonElement[] exact = [.. json.RootElement.GetProperty("entries").EnumerateArray().Where(e => e.GetProperty("name").GetString() == "exact")];
        exact.Select(e => e.TryGetProperty("chunkSize", out JsonElement size) ? size.GetInt64() : 0).ShouldBe([4194304, 0]);
        exact.Select(e => e.GetProperty("type").GetString()).ShouldBe(["reg", "chunk"]);
    }

    [Fact]
    public async Task Convert_WhenUnpackedByTar_GivesTheSameTree()
    {
        // every kind of header goes through; the trees are compared by GNU tar itself
        Tool.Bash(
            """
            mkdir t; cd t
            mkdir -p d/e; echo x > d/f; ln d/f d/g; ln -s f d/l; mkfifo d/p; mknod d/c c 1 5
            echo b > $'d/\xff\xfe'; chown 70000:3000000000 d/f; chmod 6755 d/f; setfattr -n user.x -v 0x0001 d/f; setcap cap_net_raw+ep $'d/\xff\xfe'
            touch -d '1999-12-31 23:59:59.123456789Z' d/f d/e; head -c 9000000 /dev/urandom > rnd
            printf 'n%.0s' $(seq 200) > n; mv n d/$(cat n)
            cd ..; tar --format=pax --xattrs --xattrs-include='*' -C t -cf t.tar .; gzip -k t.tar
            """,
            _scratch.Path);
        (_, byte[] blob) = await ConvertAsync(await File.ReadAllBytesAsync(_scratch["t.tar.gz"]));
        await File.WriteAllBytesAsync(_scratch["out.tar.gz"], blob);

        string listing = Tool.Bash(
            """
            mkdir a b; tar --xattrs --xattrs-include='*' -C a -xf t.tar; tar --xattrs --xattrs-include='*' -C b -xzf out.tar.gz
            gzip -t out.tar.gz
            rm b/stargz.index.json b/.no.prefetch.landmark
            touch -r a b
            list() { (cd $1; find . -printf '%p %y %m %U:%G %s %T@ %l %n\n' | grep -v '^\. ' | LC_ALL=C sort; getfattr -dhR -m - . | sort; find . -type f -exec sha256sum {} + | sort); }
            list a > a.txt; list b > b.txt; diff a.txt b.txt && wc -l < a.txt
            """,
            _scratch.Path);

        int.Parse(listing, CultureInfo.InvariantCulture).ShouldBeGreaterThan(20);
    }

    [Fact]
    public async Task Convert_WhenScanned_HasTheEntriesOfTheSource()
    {
        byte[] source = new TarBuilder()
            .Pax('g', ("comment", "kept")).File("a", "1").Pax('x', ("GNU.sparse.map", "2,3"), ("GNU.sparse.size", "9"), ("GNU.sparse.name", "sparse"), ("SCHILY.xattr.user.s", "v"), ("mtime", "-1.5"))
            .File("GNUSparseFile/sparse", "abc").Header(new TarHeaderFields("names") { Type = 'D', Size = 4 }).Content("Yab\0"u8.ToArray())
            .Header(new TarHeaderFields("v") { Type = 'V' }).File("bytes-\u00ff", "x").File("dup", "1").File("dup", "22").Symlink("l", "\u00fe").Build();
        LayerScan before = await LayerBlobs.ScanAsync(source);

        (ConvertedLayerInfo info, byte[] blob) = await ConvertAsync(source);
        LayerScan after = await LayerBlobs.ScanAsync(blob);

        after.IsEStargz.ShouldBeTrue();
        LayerBlobs.Text(after.Entries).ShouldBe(LayerBlobs.Text(before.Entries));
        (after.DiffId, after.UncompressedSize).ShouldBe((info.DiffId, info.UncompressedSize));
        info.SourceDiffId.ShouldBe(before.DiffId);
    }

    [Fact]
    public async Task Convert_WhenConvertedAgainWithoutAnnotation_GivesTheSameBlob()
    {
        (ConvertedLayerInfo first, byte[] blob) = await ConvertAsync(Small);

        (await ConvertAsync(blob)).Info.Digest.ShouldBe(first.Digest);
    }

    [Fact]
    public async Task Write_WhenFilesArePrioritised_PutsTheLandmarkBehindThem()
    {
        using BlobFile file = new(_scratch.Path);
        using SemaphoreSlim processors = new(2);
        await using EStargzWriter writer = new(file, processors);
        await WriteTextAsync(writer, "hot", "h");
        await writer.WriteLandmarkAsync(hasPrioritised: true, CancellationToken.None);
        await WriteTextAsync(writer, "cold", "c");
        EStargzSummary summary = await writer.FinishAsync(CancellationToken.None);

        EStargzToc toc = (await EStargzReader.TryReadAsync((o, l, _) => Task.FromResult(file.Open(o, l)), file.Length, summary.TocDigest, CancellationToken.None)).ShouldNotBeNull();

        toc.Prioritized.ShouldBe(1);
        toc.Files.Select(f => f.Entry.Path.Raw).ShouldBe(["hot", "cold"]);
        byte[] blob = await ReadAsync(file.Open(0, file.Length));
        Encoding.UTF8.GetString(Gunzip(blob)).ShouldContain(".prefetch.landmark");
    }

    [Fact]
    public async Task Convert_WhenCancelled_LeavesNoFile()
    {
        using CancellationTokenSource cancel = new();
        CountingProgress progress = new(() => cancel.Cancel());

        await Should.ThrowAsync<OperationCanceledException>(() => Converter().ConvertAsync(
            new BigTarStream(4, 8 << 20), new Descriptor(MediaTypes.OciLayer, default, 0), files: null, progress, cancel.Token));

        Directory.GetFileSystemEntries(_scratch.Path).ShouldBeEmpty();
    }

    [Fact]
    public async Task Convert_WhenLayerIsLarge_KeepsFewBuffers()
    {
        long before = GC.GetTotalMemory(forceFullCollection: true);
        long peak = 0;
        CountingProgress progress = new(() => peak = Math.Max(peak, GC.GetTotalMemory(forceFullCollection: false)));

        using ConvertedLayer layer = await Converter().ConvertAsync(new BigTarStream(3, 24 << 20), new Descriptor(MediaTypes.OciLayer, default, 0), files: null, progress, CancellationToken.None);

        layer.Entries.Count.ShouldBe(3);
        // in flight: 16 MiB raw, as much compressed, one member each way growing in a pool; other tests run beside this one
        (peak - before).ShouldBeLessThan(200L << 20);
    }

    internal static string Toc(byte[] blob)
    {
        EStargzFooter.TryParse(blob.AsSpan()[^51..], out long offset).ShouldBeTrue();
        byte[] tar = Gunzip(blob[(int)offset..]);
        int size = System.Convert.ToInt32(Encoding.ASCII.GetString(tar, 124, 11), 8);
        return Encoding.UTF8.GetString(tar, 512, size);
    }

    internal static Func<long, long, CancellationToken, Task<Stream>> Ranges(byte[] blob) =>
        (offset, length, _) => Task.FromResult<Stream>(new MemoryStream(blob, (int)offset, (int)length));

    internal static byte[] Gunzip(byte[] blob)
    {
        using GZipStream gzip = new(new MemoryStream(blob), CompressionMode.Decompress);
        using MemoryStream plain = new();
        gzip.CopyTo(plain);
        return plain.ToArray();
    }

    private static byte[] ReadChunk(byte[] blob, EStargzChunk chunk) =>
        Gunzip(blob[(int)chunk.Offset..(int)chunk.End]).AsSpan((int)chunk.InnerOffset, (int)chunk.Length).ToArray();

    private static byte[] Big()
    {
        byte[] big = new byte[(8 << 20) + 1];
        new Random(5).NextBytes(big.AsSpan(0, 1 << 20));
        return new TarBuilder().File("one", "1").File("big", big).File("exact", big[..(8 << 20)]).File("last", "l").Build();
    }

    /// <summary>Where gzip members begin, found by decompressing one after the other with a stream that is rewound behind each.</summary>
    private static List<int> Members(byte[] blob)
    {
        List<int> starts = [];
        for (int i = 0; i + 3 < blob.Length; i++)
        {
            if (blob[i] == 0x1f && blob[i + 1] == 0x8b && blob[i + 2] == 8 && blob[i + 3] is 0 or 4 && blob.AsSpan(i + 4, 4).IndexOfAnyExcept((byte)0) < 0)
            {
                starts.Add(i);
            }
        }

        return starts;
    }

    private static async Task WriteTextAsync(EStargzWriter writer, string name, string text)
    {
        bool sent = false;
        TarEntry entry = new() { Name = PosixPath.FromText(name), Kind = FileKind.Regular, Size = text.Length };
        await writer.WriteEntryAsync(
            entry with { RawHeaders = TarHeaderWriter.Write(entry) },
            _ =>
            {
                ReadOnlyMemory<byte> piece = sent ? default : Encoding.UTF8.GetBytes(text);
                sent = true;
                return ValueTask.FromResult(piece);
            },
            CancellationToken.None);
    }

    private static async Task<byte[]> ReadAsync(Stream stream)
    {
        using MemoryStream bytes = new();
        await stream.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    private EStargzConverter Converter() => new(new EStargzConverterOptions(_scratch.Path));

    private async Task<(ConvertedLayerInfo Info, byte[] Blob)> ConvertAsync(byte[] source)
    {
        using ConvertedLayer layer = await Converter().ConvertAsync(new DribblingStream(source), new Descriptor(MediaTypes.OciLayerGzip, default, 0), files: null, progress: null, CancellationToken.None);
        byte[] blob = await ReadAsync(layer.Open());
        (layer.Info.Digest, layer.Info.Size).ShouldBe((Digest.Of(blob), blob.Length));
        layer.Info.TocDigest.ShouldBe(Digest.Of(Encoding.UTF8.GetBytes(Toc(blob))));
        return (layer.Info, blob);
    }

    private sealed class CountingProgress(Action action) : IProgress<long>
    {
        public void Report(long value) => action();
    }
}
