using System.IO.Compression;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Compression;
using Starlight.Infrastructure.Images.EStargz;
using Starlight.Infrastructure.Images.Layers;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.Layers;

public class LayerScannerTests
{
    private static readonly byte[] Tar = new TarBuilder().Directory("d/").File("d/a", new string('a', 100_000)).File("d/empty", "").File("d/b", "bb").File("d/c", "bb").Build();

    [Fact]
    public async Task Scan_WhenSinkIsGiven_DeliversEveryNonEmptyFileInOrder()
    {
        CollectingSink sink = new();

        LayerScan scan = await LayerBlobs.ScanAsync(LayerBlobs.Gzip(Tar), sink);

        sink.Order.ShouldBe(scan.Entries.Where(e => e.Size > 0).Select(e => e.Content));
        sink.Contents[Digest.Of("bb"u8)].ShouldBe("bb"u8.ToArray());
        scan.Entries[2].Content.ShouldBe(Digest.Empty);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(512)]
    [InlineData(100_000)]
    public async Task Scan_WhenGzipHasManyMembers_ReadsThemAll(int memberLength)
    {
        byte[] tar = memberLength == 1 ? Tar[^2048..] : Tar;
        byte[] blob = [.. tar.Chunk(memberLength).SelectMany(c => LayerBlobs.Gzip(c))];

        LayerScan scan = await LayerBlobs.ScanAsync(blob);

        (scan.DiffId, scan.UncompressedSize, scan.IsEStargz).ShouldBe((Digest.Of(tar), tar.Length, false));
    }

    [Fact]
    public async Task Scan_WhenZstdHasManyAndSkippableFrames_ReadsThemAll()
    {
        byte[] skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        byte[] blob = [.. skippable, .. Tar.Chunk(30_000).SelectMany(c => Zstd(c).Concat(skippable))];

        LayerScan scan = await LayerBlobs.ScanAsync(blob);

        (scan.DiffId, scan.Entries.Count).ShouldBe((Digest.Of(Tar), 5));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(20)]
    [InlineData(100)]
    public async Task Scan_WhenGzipIsCutOff_Fails(int missing)
    {
        byte[] blob = [.. LayerBlobs.Gzip(Tar[..1024]), .. LayerBlobs.Gzip(Tar[1024..])];

        (await Should.ThrowAsync<FailureException>(() => LayerBlobs.ScanAsync(blob[..^missing]))).Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    [Theory]
    [InlineData(new byte[] { 0 })]
    [InlineData(new byte[] { 0x1f })]
    [InlineData(new byte[] { 0x1f, 0x8b })]
    [InlineData(new byte[] { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 })]
    public async Task Scan_WhenGarbageFollowsGzip_Fails(byte[] garbage) =>
        (await Should.ThrowAsync<FailureException>(() => LayerBlobs.ScanAsync([.. LayerBlobs.Gzip(Tar), .. garbage]))).Error.Kind.ShouldBe(ErrorKind.DataCorrupt);

    [Fact]
    public async Task Scan_WhenContentLooksLikeTheSeal_IsNotConfused()
    {
        byte[] seal = "\0STARLIGHT-SEAL\0"u8.ToArray();
        byte[] tar = [.. Tar, .. seal];

        (await LayerBlobs.ScanAsync(LayerBlobs.Gzip(tar))).DiffId.ShouldBe(Digest.Of(tar));
        (await LayerBlobs.ScanAsync([.. LayerBlobs.Gzip(Tar), .. LayerBlobs.Gzip(seal)])).DiffId.ShouldBe(Digest.Of(tar));
        await Should.ThrowAsync<FailureException>(() => LayerBlobs.ScanAsync(LayerBlobs.Gzip(tar)[..^1]));
    }

    [Fact]
    public async Task Scan_WhenCompressionIsForeign_SaysSo() =>
        (await Should.ThrowAsync<FailureException>(() => LayerBlobs.ScanAsync("BZh91AY&SY"u8.ToArray()))).Error.Code.ShouldBe("Layer.Unsupported");

    [Fact]
    public async Task Scan_WhenSourceFailsAtItsEnd_PassesTheFailureOn()
    {
        // a source finds out that the digest is wrong by the read that would return 0
        FailureException failure = await Should.ThrowAsync<FailureException>(() =>
            new LayerScanner().ScanAsync(new FailingAtEndStream(LayerBlobs.Gzip(Tar)), MediaTypes.OciLayerGzip, sink: null, CancellationToken.None));

        failure.Error.Code.ShouldBe("Test.DigestWrong");
    }

    [Fact]
    public async Task Scan_WhenBlobIsEStargz_LeavesItsOwnEntriesOut()
    {
        (byte[] blob, byte[] tar) = EStargz(EStargzFooter.Encode);

        LayerScan scan = await LayerBlobs.ScanAsync(blob);

        scan.IsEStargz.ShouldBeTrue();
        scan.DiffId.ShouldBe(Digest.Of(tar));
        scan.Entries.Select(e => e.Path.Raw).ShouldBe([".prefetch.landmark", "f", "sub/stargz.index.json"]);
    }

    [Fact]
    public async Task Scan_WhenFooterIsTheFirstStargz_RecognisesIt() =>
        (await LayerBlobs.ScanAsync(EStargz(LegacyFooter).Blob)).IsEStargz.ShouldBeTrue();

    [Fact]
    public async Task Scan_WhenOrdinaryLayerHasSuchNames_KeepsThem()
    {
        LayerScan scan = await LayerBlobs.ScanAsync(EStargz(_ => LayerBlobs.Gzip([])).Blob);

        scan.IsEStargz.ShouldBeFalse();
        scan.Entries.Select(e => e.Path.Raw).ShouldBe([".prefetch.landmark", ".no.prefetch.landmark", "f", "sub/stargz.index.json", "stargz.index.json"]);
    }

    [Fact]
    public async Task Scan_WhenTocOffsetLiesOutside_IsNotEStargz() => (await LayerBlobs.ScanAsync(EStargz(_ => EStargzFooter.Encode(1 << 20)).Blob)).IsEStargz.ShouldBeFalse();

    [Fact]
    public void Footer_WhenEncoded_IsTheSpecifications51Bytes()
    {
        // as written by stargz-snapshotter for a TOC at 0x1234
        byte[] expected = Convert.FromHexString("1f8b08040000000000ff" + "1a00" + "53471600" + Convert.ToHexString("0000000000001234STARGZ"u8) + "010000ffff" + "0000000000000000");

        EStargzFooter.Encode(0x1234).ShouldBe(expected);
        EStargzFooter.TryParse(expected, out long offset).ShouldBeTrue();
        offset.ShouldBe(0x1234);
    }

    [Fact]
    public void Footer_WhenTocIsExternal_IsRecognisedAsSuch()
    {
        byte[] footer = [.. Convert.FromHexString("1f8b08040000000000ff1500"), (byte)'S', (byte)'G', 17, 0, .. "STARGZEXTERNALTOC"u8, .. Convert.FromHexString("010000ffff0000000000000000")];

        (EStargzFooter.IsExternalToc(footer), EStargzFooter.TryParse(footer, out _)).ShouldBe((true, false));
    }

    [Fact]
    public async Task Scan_WhenBitsFlip_FailsOrReadsButNothingElse()
    {
        byte[] tar = new TarBuilder().Pax('x', ("SCHILY.xattr.user.a", "v"), ("mtime", "1.5")).File("f", "content")
            .Pax('x', ("GNU.sparse.map", "0,2,5,1"), ("GNU.sparse.size", "9")).File("s", "abc").Symlink("l", "t").Build()[..^512];
        byte[][] blobs = [tar, LayerBlobs.Gzip(tar), Zstd(tar), EStargz(EStargzFooter.Encode).Blob];
        Random random = new(20240917);
        for (int round = 0; round < 3000; round++)
        {
            byte[] blob = [.. blobs[round % blobs.Length]];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
            {
                blob[random.Next(blob.Length)] ^= (byte)(1 << random.Next(8));
            }

            blob = random.Next(4) == 0 ? blob[..random.Next(blob.Length)] : blob;
            try
            {
                await LayerBlobs.ScanAsync(blob);
            }
            catch (FailureException e) when (e.Error.Kind is ErrorKind.DataCorrupt or ErrorKind.ResourceExhausted or ErrorKind.Unsupported)
            {
                e.Message.ShouldNotContain('\n');
            }
        }
    }

    [Fact]
    public async Task Scan_WhenLayerIsLarge_AllocatesNoMoreThanBuffers()
    {
        const long files = 20;
        const long fileSize = 64L << 20;
        // every read completes at once, so all of it runs on this thread and the runtime's count of it is exact
        long before = GC.GetAllocatedBytesForCurrentThread();

        LayerScan scan = await new LayerScanner().ScanAsync(new BigTarStream(files, fileSize), MediaTypes.OciLayer, sink: null, CancellationToken.None);

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(8L << 20);
        scan.Entries.Count.ShouldBe((int)files);
        scan.UncompressedSize.ShouldBe(files * (fileSize + 512) + 1024);
    }

    /// <summary>A blob laid out as eStargz, ended by <paramref name="footer"/>, and its tar.</summary>
    internal static (byte[] Blob, byte[] Tar) EStargz(Func<long, byte[]> footer)
    {
        byte[] head = new TarBuilder().File(".prefetch.landmark", "not a landmark").File(".no.prefetch.landmark", "\u000f").File("f", "content").File("sub/stargz.index.json", "x").BuildWithoutEnd();
        byte[] toc = new TarBuilder().File("stargz.index.json", """{"version":1,"entries":[]}""").Build();
        byte[] first = LayerBlobs.Gzip(head);
        return ([.. first, .. LayerBlobs.Gzip(toc), .. footer(first.Length)], [.. head, .. toc]);
    }

    private static byte[] LegacyFooter(long offset)
    {
        byte[] footer = EStargzFooter.Encode(offset);
        return [.. footer[..10], 22, 0, .. footer[16..]];
    }

    private static byte[] Zstd(byte[] content)
    {
        MemoryStream compressed = new();
        using (ZstdCompressionStream zstd = new(compressed, level: 3, leaveOpen: true))
        {
            zstd.Write(content);
        }

        return compressed.ToArray();
    }

    private sealed class FailingAtEndStream(byte[] content) : MemoryStream(content)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int read = await base.ReadAsync(buffer, cancellationToken);
            return read > 0 || buffer.IsEmpty ? read : throw new FailureException(new Error("Test.DigestWrong", "wrong", ErrorKind.DataCorrupt));
        }
    }
}
