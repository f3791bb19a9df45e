using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.IntegrationTests.Images.Layers;

public class LayerIndexCodecTests
{
    private static readonly LayerEntry[] Example =
    [
        new() { Path = PosixPath.FromText("etc"), Kind = FileKind.Directory, Mode = 0x1ed, MtimeSeconds = 1_700_000_000 },
        new()
        {
            Path = PosixPath.FromText("etc/ping"), Kind = FileKind.Regular, Mode = 0x9ed, Uid = 1000, Gid = 1000, MtimeSeconds = -1, MtimeNanoseconds = 5, Size = 300, Content = Digest.Of("x"u8),
            Xattrs = [new Xattr(PosixPath.FromText("user.a"), new byte[] { 1, 2 })],
        },
        new() { Path = PosixPath.FromText("etc/pong"), Kind = FileKind.Regular, Mode = 0x1a4, Uid = 1000, Gid = 1000, Content = Digest.Empty },
        new() { Path = PosixPath.FromRaw("etc/\u00ff"), Kind = FileKind.Symlink, Mode = 0x1ff, LinkTarget = PosixPath.FromText("../x") },
        new() { Path = PosixPath.FromText("null"), Kind = FileKind.CharacterDevice, Mode = 0x1b6, DeviceMajor = 1, DeviceMinor = 3 },
    ];

    [Fact]
    public void Encode_WhenGivenTheExampleOfTheDocument_GivesItsBytes() =>
        Convert.ToHexStringLower(LayerIndexCodec.Encode(Example)).ShouldBe(
            "534c4c4901" + "05"
            + "42" + "00" + "03" + "657463" + "ed03" + "80c49fd50c"
            + "31" + "03" + "05" + "2f70696e67" + "ed13" + "e807" + "e807" + "01" + "05" + "ac02" + "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
            + "01" + "06" + "757365722e61" + "02" + "0102"
            + "41" + "05" + "03" + "6f6e67" + "a403" + "00" + "00"
            + "03" + "04" + "01" + "ff" + "ff03" + "00" + "00" + "00" + "04" + "2e2e2f78"
            + "44" + "00" + "04" + "6e756c6c" + "b603" + "00" + "01" + "03"
            + "c9f2d22522322712");

    [Fact]
    public void Decode_WhenEncoded_GivesTheSameEntries() => Prop.ForAll(Layers, entries =>
    {
        byte[] index = LayerIndexCodec.Encode(entries);
        IReadOnlyList<LayerEntry> decoded = LayerIndexCodec.Decode(index);
        LayerBlobs.Text(decoded).ShouldBe(LayerBlobs.Text(entries));
        LayerIndexCodec.Encode(decoded).ShouldBe(index);
        LayerIndexCodec.Encode([.. decoded]).ShouldBe(index);
        LayerIndexCodec.EncodePieces(decoded).SelectMany(p => p.ToArray()).ShouldBe(index);
    }).QuickCheckThrowOnFailure();

    /// <summary>Entries by position come from the middle of the bytes: in any order, each is what it was.</summary>
    [Fact]
    public void Decode_WhenEntriesAreTakenByPosition_GivesTheSameAsInOrder()
    {
        LayerEntry[] entries = [.. Enumerable.Range(0, 3000).Select(i => new LayerEntry
        {
            Path = PosixPath.FromText($"directory-{i / 70}/file-{i}"), Kind = FileKind.Regular, Mode = 0x1a4, Uid = (uint)(i / 40), Size = i + 1, Content = Digest.Of(BitConverter.GetBytes(i)),
        })];
        foreach (IReadOnlyList<LayerEntry> log in new IReadOnlyList<LayerEntry>[] { LayerIndexCodec.Decode(LayerIndexCodec.Encode(entries)), EntryLog.Of(entries) })
        {
            log.Count.ShouldBe(entries.Length);
            LayerBlobs.Text([.. log]).ShouldBe(LayerBlobs.Text(entries));
            Random random = new(3);
            foreach (int index in Enumerable.Range(0, 500).Select(_ => random.Next(entries.Length)).SelectMany(i => new[] { i, i, Math.Min(i + 1, entries.Length - 1) }))
            {
                LayerBlobs.Text([log[index]]).ShouldBe(LayerBlobs.Text([entries[index]]));
            }

            Should.Throw<ArgumentOutOfRangeException>(() => log[entries.Length]);
        }
    }

    [Fact]
    public void Decode_WhenAnyBitFlipsOrAnyByteIsMissing_Fails()
    {
        byte[] index = LayerIndexCodec.Encode(Example);
        for (int bit = 0; bit < index.Length * 8; bit++)
        {
            byte[] damaged = [.. index];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Should.Throw<FailureException>(() => LayerIndexCodec.Decode(damaged)).Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        }

        for (int length = 0; length < index.Length; length++)
        {
            Should.Throw<FailureException>(() => LayerIndexCodec.Decode(index.AsMemory(0, length))).Error.Code.ShouldBe("LayerIndex.Malformed");
        }
    }

    /// <summary>A forger can compute the seal as well.</summary>
    [Fact]
    public void Decode_WhenForgedWithAValidSeal_FailsOrGivesCleanPaths()
    {
        byte[] index = LayerIndexCodec.Encode(Example);
        Random random = new(7);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] body = index[..^LayerIndexCodec.SealLength];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
            {
                body[random.Next(5, body.Length)] = (byte)random.Next(256);
            }

            body = random.Next(3) == 0 ? body[..random.Next(6, body.Length)] : body;
            byte[] forged = Sealed(body);
            try
            {
                IReadOnlyList<LayerEntry> entries = LayerIndexCodec.Decode(forged);
                entries.ShouldAllBe(e => e.Path.Clean() == e.Path);
                LayerIndexCodec.Encode(entries).ShouldBe(forged);
            }
            catch (FailureException e)
            {
                e.Error.Code.ShouldBe("LayerIndex.Malformed");
            }
        }
    }

    [Theory]
    [InlineData("534c4c490101" + "42" + "00" + "05" + "2e2e2f6162" + "00" + "00", "clean")]
    [InlineData("534c4c4901ffffffff0f", "can stand")]
    [InlineData("534c4c490180897a", "more entries")]
    [InlineData("534c4c490200", "version 2")]
    [InlineData("534c4c49018000", "shortest")]
    [InlineData("534c4c490101" + "4f" + "00" + "01" + "61" + "00" + "00", "tag")]
    [InlineData("534c4c490101" + "42" + "00" + "01" + "61" + "00" + "00" + "00", "follows")]
    [InlineData("534c4c490101" + "02" + "00" + "01" + "61" + "00" + "00" + "00" + "00", "repeated")]
    public void Decode_WhenRulesAreBroken_SaysWhich(string hex, string reason) =>
        Should.Throw<FailureException>(() => LayerIndexCodec.Decode(Sealed(Convert.FromHexString(hex)))).Message.ShouldContain(reason);

    private static byte[] Sealed(byte[] body) => [.. body, .. System.Security.Cryptography.SHA256.HashData(body)[..LayerIndexCodec.SealLength]];

    private static Arbitrary<LayerEntry[]> Layers
    {
        get
        {
            Gen<string> name = Gen.Elements("a", "b", "usr", "\u00ff\u0001", "very-long-name", ".wh.x", "\n");
            Gen<PosixPath> path = name.NonEmptyListOf().Select(parts => PosixPath.FromRaw(string.Join('/', parts)));
            Gen<LayerEntry> entry =
                from kind in Gen.Elements(Enum.GetValues<FileKind>())
                from p in path
                from mode in Gen.Choose(0, 0xfff)
                from ids in Gen.Elements<uint>(0, 1, 1000, uint.MaxValue).Two()
                from seconds in Gen.Elements(0, 1, -1, 1_700_000_000, long.MaxValue, long.MinValue)
                from nanoseconds in Gen.Elements<uint>(0, 1, 999_999_999)
                from size in Gen.Elements(0L, 1L, 1L << 40, long.MaxValue)
                from target in path
                from values in Gen.Choose(0, 3).SelectMany(n => Gen.Choose(0, 255).Select(b => (byte)b).ArrayOf().ArrayOf(n))
                let device = kind is FileKind.CharacterDevice or FileKind.BlockDevice
                select new LayerEntry
                {
                    Path = p,
                    Kind = kind,
                    Mode = (ushort)mode,
                    Uid = ids.Item1,
                    Gid = ids.Item2,
                    MtimeSeconds = seconds,
                    MtimeNanoseconds = nanoseconds,
                    Size = kind == FileKind.Regular ? size : 0,
                    Content = kind != FileKind.Regular ? default : size == 0 ? Digest.Empty : Digest.Of(p.ToBytes()),
                    LinkTarget = kind is FileKind.Symlink or FileKind.HardLink ? target : default,
                    DeviceMajor = device ? ids.Item2 : 0,
                    DeviceMinor = device ? ids.Item1 : 0,
                    Xattrs = [.. values.Select((v, i) => new Xattr(PosixPath.FromText($"user.{i}"), v))],
                };
            return entry.ArrayOf().ToArbitrary();
        }
    }
}
