using System.Buffers.Binary;
using System.Diagnostics;
using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.Erofs;

/// <summary>Images that are not as our writer makes them.</summary>
public sealed class ErofsReaderTests
{
    /// <summary>Generous: damaged images must not take longer than whole ones, which take a few milliseconds.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    [Fact]
    public void Read_WhenBitsAreFlipped_ReadsOrSaysMalformed()
    {
        byte[] image = Small();
        for (int position = ErofsFormat.SuperOffset; position < image.Length; position++)
        {
            for (int bit = 0; bit < 8; bit += 3)
            {
                byte[] damaged = [.. image];
                damaged[position] ^= (byte)(1 << bit);
                ReadAll(damaged, fixChecksum: true);
            }
        }
    }

    [Fact]
    public void Read_WhenBytesAreRandomlyOverwritten_ReadsOrSaysMalformed() => Prop.ForAll(
        ArbMap.Default.ArbFor<int>(),
        seed =>
        {
            Random random = new(seed);
            byte[] damaged = ErofsWriter.Build(RandomTrees.Create(seed, names: 30));
            int writes = random.Next(1, 20);
            for (int i = 0; i < writes; i++)
            {
                Span<byte> target = damaged.AsSpan(random.Next(ErofsFormat.SuperOffset, damaged.Length - 8));
                BinaryPrimitives.WriteUInt64LittleEndian(target, random.Next(3) switch { 0 => ulong.MaxValue, 1 => 0, _ => (ulong)random.NextInt64() });
            }

            ReadAll(damaged, fixChecksum: random.Next(4) != 0);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void Read_WhenImageIsCutOff_SaysMalformed()
    {
        byte[] image = ErofsWriter.Build(RandomTrees.Create(3));
        for (int length = 0; length < image.Length; length += 517)
        {
            byte[] cut = image[..length];
            ShouldBeMalformed(() => ErofsReader.Open(cut).Contents);
        }
    }

    [Fact]
    public void Read_WhenFewerBlocksArePromisedThanNeeded_SaysMalformed()
    {
        byte[] image = ErofsWriter.Build(TreeMerger.Merge([[Dir("d"), .. Enumerable.Range(0, 500).Select(i => File($"d/{i}", "x"))]]).Value);
        byte[] cut = image[..^ErofsFormat.BlockSize];
        BinaryPrimitives.WriteUInt32LittleEndian(cut.AsSpan(ErofsFormat.SuperOffset + 36), (uint)(cut.Length / ErofsFormat.BlockSize));

        ShouldBeMalformed(() => Open(cut).Contents);
        ShouldBeMalformed(() => Open(cut).ReadTree());
    }

    /// <summary>What is kept of an image is as large as it says, so more must be an error and not a loop.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(499)]
    public void Read_WhenFewerInodesArePromisedThanHaveNames_SaysMalformed(ulong promised)
    {
        byte[] image = ErofsWriter.Build(TreeMerger.Merge([[Dir("d"), .. Enumerable.Range(0, 500).Select(i => File($"d/{i}", $"{i}"))]]).Value);
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(ErofsFormat.SuperOffset + 16), promised);

        ShouldBeMalformed(() => Open(image).Contents);
        ShouldBeMalformed(() => Open(image).Names);
        ShouldBeMalformed(() => Open(image).ReadTree());
    }

    [Theory]
    [InlineData("magic", ErofsFormat.SuperOffset)]
    [InlineData("checksum", ErofsFormat.SuperOffset + 4)]
    [InlineData("other features", ErofsFormat.SuperOffset + 80)]
    [InlineData("other features", ErofsFormat.SuperOffset + 12)]
    [InlineData("blocks", ErofsFormat.SuperOffset + 36)]
    public void Open_WhenTheSuperBlockIsWrong_SaysWhatIsWrong(string what, int position)
    {
        byte[] image = Small();
        image[position] ^= 0x40;

        ShouldBeMalformed(() => what == "checksum" ? ErofsReader.Open(image) : Open(image)).ShouldContain(what);
    }

    [Fact]
    public void Read_WhenADirectoryContainsItself_SaysMalformed()
    {
        byte[] image = ErofsWriter.Build(TreeMerger.Merge([[Dir("a"), Dir("a/b")]]).Value);
        uint inner = NidOf(image, "b");
        uint outer = NidOf(image, "a");
        for (int dirent = ErofsFormat.SuperOffset; dirent < image.Length - ErofsFormat.DirentSize; dirent += 4)
        {
            if (BinaryPrimitives.ReadUInt64LittleEndian(image.AsSpan(dirent)) == inner && image[dirent + 10] == ErofsFormat.DirentType(FileKind.Directory))
            {
                BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(dirent), outer);
            }
        }


        ShouldBeMalformed(() => Open(image).Contents).ShouldContain("two names");
        ShouldBeMalformed(() => Open(image).ReadTree()).ShouldContain("two names");
    }

    [Fact]
    public void Read_WhenANameGoesUp_SaysMalformed()
    {
        byte[] image = ErofsWriter.Build(TreeMerger.Merge([[Dir("abc"), File("abc/xyz", "1")]]).Value);
        image.AsSpan().Replace((byte)'x', (byte)'/');

        ShouldBeMalformed(() => Open(image).ReadTree()).ShouldContain("name");
    }

    [Fact]
    public void Read_WhenInodesOverlap_SaysMalformed()
    {
        byte[] image = ErofsWriter.Build(TreeMerger.Merge([[.. Enumerable.Range(0, 20_000).Select(i => File($"{i:D5}"))]]).Value);
        for (int i = 0; i < 100; i++)
        {
            // Each claims 262,148 bytes of xattrs behind it, in an image of about a megabyte.
            BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(((int)NidOf(image, $"{i:D5}") << ErofsFormat.SlotBits) + 2), ushort.MaxValue);
        }

        ShouldBeMalformed(() => Open(image).Contents).ShouldContain("overlap");
    }

    [Fact]
    public void Read_WhenImageIsZeroesOrEmpty_SaysMalformed()
    {
        ShouldBeMalformed(() => ErofsReader.Open(ReadOnlyMemory<byte>.Empty));
        ShouldBeMalformed(() => ErofsReader.Open(new byte[ErofsFormat.BlockSize]));
    }

    private static byte[] Small() => ErofsWriter.Build(TreeMerger.Merge([
        [
            Dir("d", xattrs: Attribute("user.k", "shared")), File("d/f", "1", xattrs: Attribute("user.k", "shared")), File("d/g", "2", xattrs: Attribute("user.k", "shared")),
            HardLink("h", "d/g"), Symlink("l", "d/f", mtime: 3), Device("n", FileKind.CharacterDevice, 1, 3), Dir("e", xattrs: Attribute("security.x", new string('v', 1100))),
        ],
    ]).Value);

    private static void ReadAll(byte[] image, bool fixChecksum)
    {
        long started = Stopwatch.GetTimestamp();
        try
        {
            FilesystemImage opened = fixChecksum ? Open(image) : ErofsReader.Open(image);
            _ = opened.Contents.Count;
        }
        catch (FailureException failure)
        {
            failure.Error.Code.ShouldBe("FilesystemImage.Malformed");
        }

        try
        {
            FileTree tree = (fixChecksum ? Open(image) : ErofsReader.Open(image)).ReadTree();

            // What is read can be written: nothing impossible came through.
            ErofsReader.Open(ErofsWriter.Build(tree)).ReadTree();
        }
        catch (FailureException failure)
        {
            failure.Error.Code.ShouldBe("FilesystemImage.Malformed");
        }

        Stopwatch.GetElapsedTime(started).ShouldBeLessThan(Deadline);
    }

    /// <summary>Opens an image whose super block's checksum is made right first: an attacker can do that too.</summary>
    private static FilesystemImage Open(byte[] image)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(ErofsFormat.SuperOffset + 4), ErofsWriter.Checksum(image));
        return ErofsReader.Open(image);
    }

    private static string ShouldBeMalformed(Func<object> read)
    {
        Error error = Should.Throw<FailureException>(() => { read(); }).Error;
        error.Code.ShouldBe("FilesystemImage.Malformed");
        error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        return error.Message;
    }

    /// <summary>The inode of a name that only one directory has.</summary>
    private static uint NidOf(byte[] image, string name)
    {
        ErofsImage raw = new(image) { RootNid = ErofsFormat.FirstNid, InodeCount = 0, EpochSeconds = 0, EpochNanoseconds = 0, SharedStart = 0 };
        Queue<(ulong Nid, uint Parent)> directories = new([(ErofsFormat.FirstNid, ErofsFormat.FirstNid)]);
        while (directories.TryDequeue(out (ulong Nid, uint Parent) directory))
        {
            ErofsNameCursor cursor = new(raw, raw.ReadInode(directory.Nid), directory.Parent);
            while (cursor.TryNext(out ReadOnlySpan<byte> found, out ulong nid, out byte type))
            {
                if (found.SequenceEqual(BytesOf(name)))
                {
                    return (uint)nid;
                }

                if (type == ErofsFormat.DirentType(FileKind.Directory))
                {
                    directories.Enqueue((nid, (uint)directory.Nid));
                }
            }
        }

        throw new InvalidOperationException($"no entry {name}");
    }
}
