using System.Globalization;
using System.Text;
using System.Text.Json;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.EStargz;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.EStargz;

/// <summary>Layers whose prioritized files come first. What the order is, is tested with <see cref="LayerOrder"/>; here the bytes.</summary>
public sealed class PrioritizedLayerTests : IDisposable
{
    private static readonly byte[] Tar = new TarBuilder()
        .Directory("./").Directory("./etc/").File("./etc/a", "cold").Directory("./usr/").Directory("./usr/bin/").File("./usr/bin/hot", new string('h', 5000)).File("./usr/bin/cold", "c")
        .HardLink("./usr/bin/link", "./usr/bin/hot").File("./etc/second", "2").File("./z", "z").Build();

    private static readonly PrioritizedFiles Hot = Files("usr/bin/hot", "etc/second", "not/there");

    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Convert_WhenFilesAreHot_WritesThemFirstThenTheLandmark()
    {
        (ConvertedLayerInfo info, byte[] blob, IReadOnlyList<LayerEntry> entries) = await ConvertAsync(LayerBlobs.Gzip(Tar), Hot);

        // read as stargz-snapshotter does: the JSON at the footer's offset; a landmark is an entry like any other
        JsonElement[] toc = TocEntries(blob);
        toc.Select(e => e.GetProperty("name").GetString()).ShouldBe(
            ["./", "./usr/", "./usr/bin/", "./usr/bin/hot", "./etc/", "./etc/second", ".prefetch.landmark", "./etc/a", "./usr/bin/cold", "./usr/bin/link", "./z"]);
        JsonElement landmark = toc.Single(e => e.GetProperty("name").GetString() == ".prefetch.landmark");
        (landmark.GetProperty("type").GetString(), landmark.GetProperty("size").GetInt64()).ShouldBe(("reg", 1));
        landmark.GetProperty("digest").GetString().ShouldBe(Digest.Of([0x0f]).ToString());

        // stargz-snapshotter prefetches [0, offset of the landmark): all hot payloads are in it, and no other
        long boundary = landmark.GetProperty("offset").GetInt64();
        Offsets(toc, "./usr/bin/hot", "./etc/second").ShouldAllBe(o => o > 0 && o < boundary);
        Offsets(toc, "./etc/a", "./usr/bin/cold", "./z").ShouldAllBe(o => o > boundary);
        byte[] before = EStargzWriterTests.Gunzip(blob[..(int)boundary]);
        Encoding.ASCII.GetString(before, before.Length - 512, 19).ShouldBe(".prefetch.landmark\0", "its header is the last that is prefetched");
        blob[(int)boundary..((int)boundary + 2)].ShouldBe([0x1f, 0x8b]);

        LayerScan scan = await LayerBlobs.ScanAsync(blob);
        scan.Entries.Select(e => e.Path.Display).ShouldBe(["", "usr", "usr/bin", "usr/bin/hot", "etc", "etc/second", "etc/a", "usr/bin/cold", "usr/bin/link", "z"]);
        LayerBlobs.Text(entries).ShouldBe(LayerBlobs.Text(scan.Entries));
        (scan.IsEStargz, scan.DiffId, scan.UncompressedSize).ShouldBe((true, info.DiffId, info.UncompressedSize));
        (info.SourceDiffId, info.IsUnchanged).ShouldBe((Digest.Of(Tar), false));
        Directory.GetFileSystemEntries(_scratch.Path).ShouldBeEmpty();
    }

    [Fact]
    public async Task Convert_WhenNoFileOfTheLayerIsHot_GivesTheBytesOfAnOrdinaryConversion()
    {
        Digest plain = (await ConvertAsync(Tar, files: null)).Info.Digest;

        (await ConvertAsync(Tar, Files("not/there"))).Info.Digest.ShouldBe(plain);
        (await ConvertAsync(Tar, PrioritizedFiles.None)).Info.Digest.ShouldBe(plain);
        (await ConvertAsync(Tar, Hot)).Info.Digest.ShouldNotBe(plain);
    }

    [Fact]
    public async Task Convert_WhenLayerHasThisOrderAlready_LeavesItAlone()
    {
        (ConvertedLayerInfo first, byte[] blob, _) = await ConvertAsync(Tar, Hot);

        (ConvertedLayerInfo again, _, _) = await ConvertAsync(blob, Hot, first.TocDigest);
        (ConvertedLayerInfo plain, _, _) = await ConvertAsync(blob, files: null, first.TocDigest);

        (again.Digest, again.IsUnchanged).ShouldBe((first.Digest, true));
        (plain.Digest, plain.IsUnchanged).ShouldBe((first.Digest, true));
    }

    [Fact]
    public async Task Convert_WhenLayerHasAnotherOrder_IsRewritten()
    {
        (ConvertedLayerInfo plain, byte[] blob, _) = await ConvertAsync(Tar, files: null);
        (ConvertedLayerInfo hot, byte[] hotBlob, _) = await ConvertAsync(blob, Hot, plain.TocDigest);

        (hot.Digest, hot.IsUnchanged).ShouldBe(((await ConvertAsync(Tar, Hot)).Info.Digest, false));
        hot.SourceDiffId.ShouldBe(plain.DiffId);
        (await ConvertAsync(hotBlob, Files("z"), hot.TocDigest)).Entries.Select(e => e.Path.Display).Take(2).ShouldBe(["", "z"]);
        (ConvertedLayerInfo cold, byte[] coldBlob, _) = await ConvertAsync(hotBlob, PrioritizedFiles.None, hot.TocDigest);
        cold.IsUnchanged.ShouldBeFalse();
        TocEntries(coldBlob)[0].GetProperty("name").GetString().ShouldBe(".no.prefetch.landmark");
    }

    [Fact]
    public async Task TryRecognise_WhenSomethingElseComesFirst_RefusesTheLayer()
    {
        (ConvertedLayerInfo plain, byte[] plainBlob, _) = await ConvertAsync(Tar, files: null);
        (ConvertedLayerInfo hot, byte[] hotBlob, _) = await ConvertAsync(Tar, Hot);

        (await RecogniseAsync(plainBlob, plain, files: null)).ShouldBeTrue();
        (await RecogniseAsync(plainBlob, plain, Files("not/there"))).ShouldBeTrue();
        (await RecogniseAsync(plainBlob, plain, Hot)).ShouldBeFalse();
        (await RecogniseAsync(hotBlob, hot, Hot)).ShouldBeTrue();
        (await RecogniseAsync(hotBlob, hot, files: null)).ShouldBeFalse();
        (await RecogniseAsync(hotBlob, hot, Files("etc/second", "usr/bin/hot"))).ShouldBeFalse();
    }

    [Fact]
    public async Task Convert_WhenHotEntriesAreOdd_KeepsAllOfThem()
    {
        byte[] tar = new TarBuilder()
            .Pax('g', ("comment", "kept")).File("a", "1")
            .Pax('x', ("GNU.sparse.map", "2,3"), ("GNU.sparse.size", "9"), ("GNU.sparse.name", "sparse"), ("SCHILY.xattr.user.s", "v"), ("mtime", "-1.5")).File("GNUSparseFile/sparse", "abc")
            .Header(new TarHeaderFields("v") { Type = 'V' }).GnuLong('L', new string('n', 200)).File("short", "long")
            .File("stargz.index.json", "{}").File("bytes-\u00ff", "x").File("dup", "1").File("b", "").File("dup", "22").File("last", "padding is missing").BuildWithoutEnd();
        tar = tar[..^490];
        LayerScan before = await LayerBlobs.ScanAsync(tar);

        // what follows the last entry must not be taken for the headers of another
        byte[] stray = [.. tar, .. new byte[490], .. new TarBuilder().Pax('x', ("path", "wrong")).Build()];
        foreach (byte[] source in new[] { tar, stray })
        {
            (_, byte[] blob, IReadOnlyList<LayerEntry> entries) = await ConvertAsync(source, Files("last", "dup", new string('n', 200), "sparse"));

            entries.Select(e => e.Path.Display).ShouldBe(["last", "dup", "dup", new string('n', 200), "sparse", "a", "bytes-\ufffd", "b"]);
            LayerBlobs.Text((await LayerBlobs.ScanAsync(blob)).Entries.OrderBy(e => e.Path).ThenBy(e => e.Size))
                .ShouldBe(LayerBlobs.Text(before.Entries.Where(e => e.Path != EStargzNames.Toc).OrderBy(e => e.Path).ThenBy(e => e.Size)));
        }
    }

    [Fact]
    public async Task Convert_WhenLayersAreRandom_GivesTheSameTreeAndReadsBack()
    {
        int moved = 0;
        for (int seed = 0; seed < 300; seed++)
        {
            Random random = new(seed);
            LayerEntry[] lower = random.Next(3) == 0 ? [] : RandomLayers.Create(random, 12);
            LayerEntry[] layer = RandomLayers.Create(random, random.Next(1, 25));
            PrioritizedFiles files = new(Enumerable.Range(0, random.Next(1, 6)).Select(_ => layer[random.Next(layer.Length)].Path));
            byte[] tar = LayerTar.Write(layer);

            (ConvertedLayerInfo info, byte[] blob, IReadOnlyList<LayerEntry> entries) = await ConvertAsync(LayerBlobs.Gzip(tar), files);

            LayerScan before = await LayerBlobs.ScanAsync(tar);
            RandomLayers.Describe(TreeMerger.Merge(lower.Length == 0 ? [entries] : [lower, entries]))
                .ShouldBe(RandomLayers.Describe(TreeMerger.Merge(lower.Length == 0 ? [before.Entries] : [lower, before.Entries])), $"seed {seed}");
            LayerBlobs.Text((await LayerBlobs.ScanAsync(blob)).Entries).ShouldBe(LayerBlobs.Text(entries), $"seed {seed}");
            (await RecogniseAsync(blob, info, files)).ShouldBeTrue($"seed {seed}");
            moved += entries.Select(e => e.Path).SequenceEqual(before.Entries.Select(e => e.Path)) ? 0 : 1;
        }

        moved.ShouldBeGreaterThan(80, "or the test shows nothing");
    }

    [Fact]
    public async Task Convert_WhenUnpackedByTar_GivesTheSameTree()
    {
        Tool.Bash("mkdir t; cp -a /etc/. t/ 2>/dev/null; tar --format=pax --xattrs -C t -cf t.tar .; ls t > names", _scratch.Path);
        byte[] tar = await File.ReadAllBytesAsync(_scratch["t.tar"]);
        LayerEntry[] files = [.. (await LayerBlobs.ScanAsync(tar)).Entries.Where(e => e.Kind == FileKind.Regular)];
        PrioritizedFiles hot = new(files.Where((_, i) => i % 7 == 0).Reverse().Select(e => e.Path));

        (_, byte[] blob, _) = await ConvertAsync(tar, hot);

        await File.WriteAllBytesAsync(_scratch["out.tar.gz"], blob);
        string lines = Tool.Bash(
            """
            mkdir a b; tar --xattrs -C a -xf t.tar; tar --xattrs --delay-directory-restore -C b -xzf out.tar.gz
            test -f b/.prefetch.landmark; rm b/stargz.index.json b/.prefetch.landmark; touch -r a b
            list() { (cd $1; find . -printf '%p %y %m %U:%G %s %T@ %l %n\n' | LC_ALL=C sort; find . -type f -exec sha256sum {} + | sort); }
            list a > a.txt; list b > b.txt; diff a.txt b.txt && wc -l < a.txt
            """,
            _scratch.Path);
        int.Parse(lines, CultureInfo.InvariantCulture).ShouldBeGreaterThan(100);
    }

    [Fact]
    public async Task Convert_WhenWatched_ReportsItsSourceOnce()
    {
        byte[] blob = LayerBlobs.Gzip(Tar);
        Sum progress = new();
        using EStargzConverter converter = new(new EStargzConverterOptions(_scratch.Path));

        using ConvertedLayer layer = await converter.ConvertAsync(new DribblingStream(blob), new Descriptor(MediaTypes.OciLayerGzip, default, blob.Length), Hot, progress, CancellationToken.None);

        progress.Total.ShouldBeInRange(blob.Length - 1, blob.Length);
    }

    private static PrioritizedFiles Files(params string[] paths) => new(paths.Select(PosixPath.FromText));

    private static long[] Offsets(JsonElement[] toc, params string[] names) => [.. names.Select(n => toc.Single(e => e.GetProperty("name").GetString() == n).GetProperty("offset").GetInt64())];

    private static JsonElement[] TocEntries(byte[] blob)
    {
        EStargzFooter.TryParse(blob, out long offset).ShouldBeTrue();
        byte[] tar = EStargzWriterTests.Gunzip(blob[(int)offset..]);
        int size = System.Convert.ToInt32(Encoding.ASCII.GetString(tar, 124, 11), 8);
        using JsonDocument json = JsonDocument.Parse(tar.AsMemory(512, size));
        return [.. json.RootElement.GetProperty("entries").EnumerateArray().Select(e => e.Clone())];
    }

    private async Task<(ConvertedLayerInfo Info, byte[] Blob, IReadOnlyList<LayerEntry> Entries)> ConvertAsync(byte[] source, PrioritizedFiles? files, Digest? toc = null)
    {
        using EStargzConverter converter = new(new EStargzConverterOptions(_scratch.Path));
        using ConvertedLayer layer = await converter.ConvertAsync(new DribblingStream(source), Descriptor(source, toc), files, progress: null, CancellationToken.None);
        using MemoryStream blob = new();
        await layer.Open().CopyToAsync(blob);
        (layer.Info.Digest, layer.Info.Size).ShouldBe((Digest.Of(blob.ToArray()), blob.Length));
        return (layer.Info, blob.ToArray(), layer.Entries);
    }

    private async Task<bool> RecogniseAsync(byte[] blob, ConvertedLayerInfo info, PrioritizedFiles? files)
    {
        using EStargzConverter converter = new(new EStargzConverterOptions(_scratch.Path));
        using ConvertedLayer? layer = await converter.TryRecogniseAsync(new MemoryStream(blob), Descriptor(blob, info.TocDigest), files, CancellationToken.None);
        return layer is not null;
    }

    private static Descriptor Descriptor(byte[] blob, Digest? toc) => new(MediaTypes.OciLayerGzip, Digest.Of(blob), blob.Length)
    {
        Annotations = toc is { } digest ? new Dictionary<string, string> { [StarlightAnnotations.TocDigest] = digest.ToString() } : new Dictionary<string, string>(),
    };

    private sealed class Sum : IProgress<long>
    {
        public long Total { get; private set; }

        public void Report(long value) => Total += value;
    }
}
