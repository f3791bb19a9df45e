using System.Globalization;
using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.Tar;

/// <summary>Headers built byte by byte; archives by real tools are in <see cref="TarToolsTests"/>.</summary>
public class TarReaderTests
{
    [Fact]
    public async Task Scan_WhenEveryKindIsThere_KeepsEveryField()
    {
        byte[] tar = new TarBuilder()
            .Directory("./")
            .Directory("etc/", 0x3ff)
            .File("etc/motd", "hello", 0x9ed)
            .Symlink("etc/link", "../motd//x")
            .HardLink("/etc/hard", "/etc/./motd")
            .Header(new TarHeaderFields("dev/c") { Type = '3', DeviceMajor = 5, DeviceMinor = 1, Mode = 0x1b6 })
            .Header(new TarHeaderFields("dev/b") { Type = '4', DeviceMajor = 300, DeviceMinor = 70000 })
            .Header(new TarHeaderFields("fifo") { Type = '6', Uid = 33, Gid = 44, Mtime = 1_700_000_000 })
            .Build();

        LayerBlobs.Text((await LayerBlobs.ScanAsync(tar)).Entries).ShouldBe(
            $"""
            Directory '' 755 0:0 0.000000000 0 - -> '' 0,0 
            Directory 'etc' 1777 0:0 0.000000000 0 - -> '' 0,0 
            Regular 'etc/motd' 4755 0:0 0.000000000 5 {Digest.Of("hello"u8).Hex[..12]} -> '' 0,0 
            Symlink 'etc/link' 777 0:0 0.000000000 0 - -> '../motd//x' 0,0 
            HardLink 'etc/hard' 644 0:0 0.000000000 0 - -> 'etc/motd' 0,0 
            CharacterDevice 'dev/c' 666 0:0 0.000000000 0 - -> '' 5,1 
            BlockDevice 'dev/b' 644 0:0 0.000000000 0 - -> '' 300,70000 
            Fifo 'fifo' 644 33:44 1700000000.000000000 0 - -> '' 0,0 
            """.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Scan_WhenPaxOverridesHeader_TakesPax()
    {
        string longName = string.Join('/', Enumerable.Repeat("d\u00ff\u0080", 200));
        byte[] tar = new TarBuilder()
            .Pax('x',
                ("path", longName), ("uid", "3000000000"), ("gid", "4294967295"), ("mtime", "1700000000.123456789987"), ("size", "3"),
                ("SCHILY.xattr.user.b", "x\u0000\u00ffy"), ("SCHILY.xattr.user.empty", ""), ("LIBARCHIVE.xattr.user.a%3D", "/wA"), ("LIBARCHIVE.xattr.user.b", "AAAA"))
            .Header(new TarHeaderFields("short") { Size = 0 })
            .Content("abc"u8.ToArray())
            .File("next", "n")
            .Build();

        IReadOnlyList<LayerEntry> entries = (await LayerBlobs.ScanAsync(tar)).Entries;

        entries[0].Path.Raw.ShouldBe(longName);
        (entries[0].Uid, entries[0].Gid, entries[0].Size).ShouldBe((3_000_000_000u, uint.MaxValue, 3L));
        (entries[0].MtimeSeconds, entries[0].MtimeNanoseconds).ShouldBe((1_700_000_000L, 123_456_789u));
        entries[0].Xattrs.Select(x => $"{x.Name.Raw}:{Convert.ToHexString(x.Value.Span)}").ShouldBe(["user.a=:FF00", "user.b:7800FF79", "user.empty:"]);
        (entries[1].Path.Raw, entries[1].Uid, entries[1].Xattrs.Count).ShouldBe(("next", 0u, 0));
    }

    [Fact]
    public async Task Scan_WhenGlobalHeaderStandsBefore_IgnoresItAsContainerRuntimesDo()
    {
        byte[] tar = new TarBuilder().Pax('g', ("path", "global"), ("mtime", "5"), ("comment", "git")).File("own", "x").Build();

        LayerEntry entry = await LayerBlobs.ScanOneAsync(tar);

        (entry.Path.Raw, entry.MtimeSeconds).ShouldBe(("own", 0L));
    }

    [Fact]
    public async Task Scan_WhenGnuLongNames_TakesThem()
    {
        string name = new('n', 300);
        string target = new('t', 1500);

        LayerEntry entry = await LayerBlobs.ScanOneAsync(new TarBuilder { Gnu = true }.GnuLong('L', name).GnuLong('K', target).Symlink("cut", "cut").Build());

        (entry.Path.Raw, entry.LinkTarget.Raw).ShouldBe((name, target));
    }

    [Fact]
    public async Task Scan_WhenUstarPrefix_JoinsIt() =>
        (await LayerBlobs.ScanOneAsync(new TarBuilder().Header(new TarHeaderFields("b/c") { Prefix = "a/very/long" }).Build())).Path.Raw.ShouldBe("a/very/long/b/c");

    [Fact]
    public async Task Scan_WhenGnuHeaderHasTimesWherePrefixWouldBe_DoesNotTakeThemForAName() =>
        (await LayerBlobs.ScanOneAsync(new TarBuilder { Gnu = true }.Header(new TarHeaderFields("f") { Prefix = "13371337133" }).Build())).Path.Raw.ShouldBe("f");

    [Fact]
    public async Task Scan_WhenV7_ReadsIt()
    {
        IReadOnlyList<LayerEntry> entries = (await LayerBlobs.ScanAsync(new TarBuilder { V7 = true }
            .Header(new TarHeaderFields("dir/") { Type = '\0' })
            .Header(new TarHeaderFields("dir/f") { Type = '\0', Size = 1 }).Content([1])
            .Build())).Entries;

        entries.Select(e => (e.Kind, e.Path.Raw)).ShouldBe([(FileKind.Directory, "dir"), (FileKind.Regular, "dir/f")]);
    }

    [Theory]
    [InlineData(-1L)]
    [InlineData(-62_135_596_800L)]
    [InlineData(68_719_476_736L)]
    public async Task Scan_WhenTimeIsBase256_ReadsIt(long mtime) =>
        (await LayerBlobs.ScanOneAsync(new TarBuilder { Gnu = true }.Header(new TarHeaderFields("f") { Mtime = mtime, Uid = uint.MaxValue }).Build()))
            .ShouldSatisfyAllConditions(e => e.MtimeSeconds.ShouldBe(mtime), e => e.Uid.ShouldBe(uint.MaxValue));

    [Theory]
    [InlineData("-1.5", -2L, 500_000_000u)]
    [InlineData("-0.25", -1L, 750_000_000u)]
    [InlineData("-3", -3L, 0u)]
    [InlineData("7.", 7L, 0u)]
    [InlineData(".5", 0L, 500_000_000u)]
    [InlineData("1.0000000009", 1L, 0u)]
    public async Task Scan_WhenPaxTimeIsOdd_ReadsIt(string text, long seconds, uint nanoseconds)
    {
        LayerEntry entry = await LayerBlobs.ScanOneAsync(new TarBuilder().Pax('x', ("mtime", text)).File("f", "").Build());

        (entry.MtimeSeconds, entry.MtimeNanoseconds).ShouldBe((seconds, nanoseconds));
    }

    [Fact]
    public async Task Scan_WhenChecksumIsOfSignedBytes_AcceptsIt() =>
        (await LayerBlobs.ScanOneAsync(new TarBuilder().Header(new TarHeaderFields("\u00ff\u00fe") { SignedChecksum = true }).Build())).Path.Raw.ShouldBe("\u00ff\u00fe");

    [Fact]
    public async Task Scan_WhenHardLinkHasSize_TakesNoContentForIt()
    {
        IReadOnlyList<LayerEntry> entries = (await LayerBlobs.ScanAsync(new TarBuilder().File("a", "12345").HardLink("b", "a", size: 5).File("c", "c").Build())).Entries;

        entries.Select(e => (e.Path.Raw, e.Size)).ShouldBe([("a", 5L), ("b", 0L), ("c", 1L)]);
    }

    [Fact]
    public async Task Scan_WhenSocketsAndLabelsAreThere_LeavesThemOut() =>
        (await LayerBlobs.ScanOneAsync(new TarBuilder()
            .Header(new TarHeaderFields("volume") { Type = 'V' })
            .Pax('x', ("path", "renamed")).Header(new TarHeaderFields("sock") { Type = 's' })
            .Header(new TarHeaderFields("f") { Type = '7', Size = 2 }).Content("ab"u8.ToArray()).Build())).Path.Raw.ShouldBe("f");

    [Fact]
    public async Task Scan_WhenNamesClimb_KeepsThemInside() =>
        (await LayerBlobs.ScanAsync(new TarBuilder().File("../../etc/x", "").File("a/../../b", "").File("//c//.//d", "").Build())).Entries
            .Select(e => e.Path.Raw).ShouldBe(["etc/x", "b", "c/d"]);

    [Theory]
    [InlineData(0)]
    [InlineData(512)]
    [InlineData(1024)]
    [InlineData(1536)]
    [InlineData(10 * 1024)]
    public async Task Scan_WhenArchiveEndsInSomeZeros_HashesThemAll(int zeros)
    {
        byte[] tar = [.. new TarBuilder().File("f", "content").BuildWithoutEnd(), .. new byte[zeros]];

        Application.Abstractions.Images.LayerScan scan = await LayerBlobs.ScanAsync(tar);

        (scan.Entries.Count, scan.UncompressedSize, scan.DiffId).ShouldBe((1, tar.Length, Digest.Of(tar)));
    }

    [Fact]
    public async Task Scan_WhenBytesFollowTheEnd_HashesThemToo()
    {
        byte[] tar = [.. new TarBuilder().File("f", "content").Build(), .. Encoding.ASCII.GetBytes("trailing garbage, legal for tar")];

        (await LayerBlobs.ScanAsync(LayerBlobs.Gzip(tar))).DiffId.ShouldBe(Digest.Of(tar));
    }

    [Fact]
    public async Task Scan_WhenLastPaddingIsMissing_AcceptsIt()
    {
        byte[] tar = new TarBuilder().File("f", "content").BuildWithoutEnd()[..(512 + 7)];

        (await LayerBlobs.ScanOneAsync(tar)).Size.ShouldBe(7);
    }

    [Fact]
    public async Task Scan_WhenBlobIsEmpty_HasNoEntries() => (await LayerBlobs.ScanAsync([])).Entries.ShouldBeEmpty();

    public static TheoryData<string, byte[]> BrokenArchives => new()
    {
        { "checksum", new TarBuilder().Header(new TarHeaderFields("f") { EditAfterChecksum = b => b[0] ^= 1 }).Build() },
        { "number", new TarBuilder().Header(new TarHeaderFields("f") { Edit = b => b[125] = (byte)'9' }).Build() },
        { "negative", new TarBuilder().Header(new TarHeaderFields("f") { Size = -5 }).Build() },
        { "unknown tar type", new TarBuilder().Header(new TarHeaderFields("f") { Type = 'Q' }).Build() },
        { "ends inside", new TarBuilder().File("f", new byte[2000]).BuildWithoutEnd()[..1500] },
        { "inside a block", new TarBuilder().File("f", "x").BuildWithoutEnd()[..300] },
        { "extension header", new TarBuilder().Pax('x', ("path", new string('p', 2000))).BuildWithoutEnd()[..1024] },
        { "single zero block", [.. new TarBuilder().File("f", "").BuildWithoutEnd(), .. new byte[512], .. new TarBuilder().File("g", "").Build()] },
        { "wrong length", new TarBuilder().PaxRaw("99 path=x\n"u8.ToArray()).File("f", "").Build() },
        { "wrong length", new TarBuilder().PaxRaw("x path=x\n"u8.ToArray()).File("f", "").Build() },
        { "without a key", new TarBuilder().PaxRaw("5 =a\n"u8.ToArray()).File("f", "").Build() },
        { "NUL", new TarBuilder().Pax('x', ("path", "a\0b")).File("f", "").Build() },
        { "not a number", new TarBuilder().Pax('x', ("size", "1x")).File("f", "").Build() },
        { "the root", new TarBuilder().File("./", "x").Build() },
        { "more than 4095", new TarBuilder().Pax('x', ("path", new string('p', 5000))).File("f", "").Build() },
        { "32 bits", new TarBuilder().Pax('x', ("uid", "4294967296")).File("f", "").Build() },
        { "unknown format", new TarBuilder().Pax('x', ("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")).File("f", "").Build() },
        { "overlap", Sparse01("4,4,2,4", 20, "12345678") },
        { "add up", Sparse01("0,4", 20, "12345678") },
        { "half", Sparse01("0,4,5", 20, "1234") },
        { "outside", Sparse01("18,4", 20, "1234") },
        { "map", new TarBuilder().Pax('x', ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")).File("f", "x\n").Build() },
        { "cut short", new TarBuilder().Pax('x', ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")).File("f", "5\n1\n").Build() },
    };

    [Theory]
    [MemberData(nameof(BrokenArchives))]
    public async Task Scan_WhenArchiveIsBroken_SaysSo(string reason, byte[] tar)
    {
        FailureException failure = await Should.ThrowAsync<FailureException>(() => LayerBlobs.ScanAsync(tar));

        failure.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        failure.Message.ShouldContain(reason);
    }

    [Fact]
    public async Task Scan_WhenHeadersAreHuge_RefusesThem()
    {
        TarBuilder endless = new();
        for (int i = 0; i < 5; i++)
        {
            endless.Pax('x', ("comment", new string('c', 1_000_000)));
        }

        (await Should.ThrowAsync<FailureException>(() => LayerBlobs.ScanAsync(endless.File("f", "").Build()))).Error.Code.ShouldBe("Layer.TooLarge");
        (await Should.ThrowAsync<FailureException>(() => LayerBlobs.ScanAsync(new TarBuilder().PaxRaw(new byte[1024 * 1024 + 1]).Build()))).Error.Code.ShouldBe("Layer.TooLarge");
    }

    [Fact]
    public async Task Scan_WhenSparseFileClaimsExabytes_RefusesIt() =>
        (await Should.ThrowAsync<FailureException>(() => LayerBlobs.ScanAsync(Sparse01("0,4", long.MaxValue, "1234")))).Error.Code.ShouldBe("Layer.TooLarge");

    [Theory]
    [InlineData("0,4,8,4", 20, "12345678", "1234\0\0\0\05678\0\0\0\0\0\0\0\0")]
    [InlineData("3,2,9,0", 9, "ab", "\0\0\0ab\0\0\0\0")]
    [InlineData("", 3, "", "\0\0\0")]
    [InlineData("0,3,3,0", 3, "abc", "abc")]
    public async Task Scan_WhenFileIsSparse_DeliversItExpanded(string map, long size, string stored, string expected)
    {
        CollectingSink sink = new();

        LayerEntry entry = (await LayerBlobs.ScanAsync(Sparse01(map, size, stored), sink)).Entries.ShouldHaveSingleItem();

        (entry.Path.Raw, entry.Size).ShouldBe(("real/name", size));
        Encoding.Latin1.GetString(sink.Contents[entry.Content]).ShouldBe(expected);
    }

    private static byte[] Sparse01(string map, long size, string stored) => new TarBuilder()
        .Pax('x', ("GNU.sparse.size", size.ToString(CultureInfo.InvariantCulture)), ("GNU.sparse.name", "real/name"), ("GNU.sparse.map", map))
        .File("GNUSparseFile.1/name", stored)
        .Build();
}
