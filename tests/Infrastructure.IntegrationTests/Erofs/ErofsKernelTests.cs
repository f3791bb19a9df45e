using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Native;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.Erofs;

/// <summary>What the kernel and erofs-utils make of our images.</summary>
public sealed class ErofsKernelTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Mount_WhenTreeIsRandom_ShowsTheTree(int seed) => CheckMounted(RandomTrees.Create(seed, names: 120));

    [Theory]
    [MemberData(nameof(Trees))]
    public void Mount_WhenTreeIsAtALimit_ShowsTheTree(string name) => CheckMounted(TreeMerger.Merge([Layer(name)]).Value);

    public static TheoryData<string> Trees =>
    [
        "empty", "directory of many blocks", "directory that ends with a block", "long names", "huge file", "many links", "long symlinks", "many shared xattrs",
        "long xattrs", "many xattrs", "xattrs on everything", "every mtime its own", "one mtime", "large owners", "devices", "acl",
    ];

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(14)]
    public void Fsck_WhenTreeIsRandom_AcceptsTheImage(int seed) => CheckWithTools(ErofsWriter.Build(RandomTrees.Create(seed, names: 120)));

    [Theory]
    [MemberData(nameof(Trees))]
    public void Fsck_WhenTreeIsAtALimit_AcceptsTheImage(string name) => CheckWithTools(ErofsWriter.Build(TreeMerger.Merge([Layer(name)]).Value));

    private static LayerEntry[] Layer(string name) => name switch
    {
        "empty" => [],
        "directory of many blocks" => [Dir("d"), .. Enumerable.Range(0, 5_000).Select(i => File($"d/file{i:D6}", $"{i % 7}")), Dir("d/-first"), Dir("d/zlast")],
        "directory that ends with a block" => [Dir("d"), .. Enumerable.Range(0, 204).Select(i => File($"d/name{i:D4}", "x")), Dir("e"), .. Enumerable.Range(0, 203).Select(i => File($"e/name{i:D4}"))],
        "long names" => [.. Enumerable.Range(0, 40).Select(i => File($"{i:D3}{new string('n', 252)}/{new string('m', 255)}", "x"))],
        "huge file" => [File("small", "x"), File("huge", "x") with { Size = (5L << 40) + 1 }],
        "many links" => [File("a0", "x"), .. Enumerable.Range(1, 66_000).Select(i => HardLink($"a{i}", "a0"))],
        "long symlinks" => [.. new[] { 1, 63, 64, 3900, 4031, 4032, 4033, 4064, 4065, 4094, 4095 }.SelectMany(n => new[] { Symlink($"s{n}", new string('t', n)), Symlink($"x{n}", new string('t', n), mtime: n, xattrs: Attribute("security.x", "y")) })],
        "many shared xattrs" => [.. Enumerable.Range(0, 500).Select(i => File($"f{i}", "x", xattrs: [.. Enumerable.Range(0, 5).Select(k => Attribute($"user.label{k}", $"a value that is shared {i % 3}"))]))],
        "long xattrs" => [.. Enumerable.Range(0, 9).Select(i => File($"f{i}", "x", xattrs: Attribute("user.long", new string('v', (i * 1000) + 1)))), Dir("d", xattrs: [Attribute("user.max", new string('v', 65535)), Attribute("user." + new string('n', 250), "")])],
        "many xattrs" => [File("f", "x", xattrs: [.. Enumerable.Range(100, 300).Select(i => Attribute($"user.{i}", new string('x', 900)))]), File("g", xattrs: [.. Enumerable.Range(100, 300).Select(i => Attribute($"user.{i}", new string('x', 900)))]), Dir("d", xattrs: [.. Enumerable.Range(100, 30).Select(i => Attribute($"user.{i}", new string('d', 900)))])],
        "xattrs on everything" => [Dir("d", xattrs: [Attribute("security.a", "1"), Attribute("user.b", "2")]), File("e", xattrs: Attribute("user.b", "2")), File("f", "x", xattrs: NetBindService), Symlink("l", "f", xattrs: Attribute("security.a", "1"))],
        "every mtime its own" => [.. Enumerable.Range(0, 100).Select(i => File($"f{i}", "x", mtime: i * 100_000_000L % 9_000_000_000, nanoseconds: (uint)i * 9_999_999))],
        "one mtime" => [Dir("d", mtime: 9), .. Enumerable.Range(0, 300).Select(i => File($"d/f{i}", $"{i}", mtime: 9, nanoseconds: 7))],
        "large owners" => [File("a", "x", uid: 65535, gid: 65535), File("b", "x", uid: 65536), File("c", "x", gid: 65536), File("d", "x", uid: uint.MaxValue - 1)],
        "devices" => [Device("a", FileKind.CharacterDevice, 4095, 1_048_575), Device("b", FileKind.BlockDevice, 259, 65_536), Device("c", FileKind.BlockDevice, 0, 0), Device("d", FileKind.Fifo, 0, 0)],
        "acl" => [Dir("d", xattrs: [Acl("access"), Acl("default")]), File("f", "x", mode: "654", xattrs: Acl("access"))],
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };

    /// <summary>user::rw-, user:1000:r-x, group::r--, mask::r-x, other::r-- as the kernel keeps it (include/uapi/linux/posix_acl_xattr.h).</summary>
    private static Xattr Acl(string kind) => new(
        PosixPath.FromText("system.posix_acl_" + kind), Convert.FromHexString("0200000001000600FFFFFFFF02000500E803000004000400FFFFFFFF10000500FFFFFFFF20000400FFFFFFFF"));

    /// <summary>cap_net_bind_service=ep, as setcap(8) stores it.</summary>
    private static readonly Xattr NetBindService = new(PosixPath.FromText("security.capability"), Convert.FromHexString("0100000200040000000000000000000000000000"));

    private void CheckMounted(FileTree tree)
    {
        Requirements.Root();
        Requirements.FileSystem("erofs");
        string image = _scratch.Combine("image");
        System.IO.File.WriteAllBytes(image, ErofsWriter.Build(tree));
        using MountPoint mount = MountPoint.Erofs(image, _scratch.Create("mount"));

        RealTree real = RealTree.ReadImage(mount.Path);

        TreeText.Full(real.Tree).ShouldBe(TreeText.Full(tree));
        ShouldHaveLinkCounts(real);
        ShouldFindContents(image, mount.Path, tree);
    }

    /// <summary>By the inode numbers that the kernel shows.</summary>
    private static void ShouldFindContents(string image, string mounted, FileTree tree)
    {
        using ErofsContents contents = new(image);
        foreach ((PosixPath path, Inode inode) in tree.Walk())
        {
            FileStatus.Read(FileStatus.AT_FDCWD, [.. PosixPath.FromText(mounted).Append(path).ToBytes(), 0], out FileStatus status).ShouldBe(0, path.Display);
            contents.Find(status.Inode).ShouldBe(inode is { Kind: FileKind.Regular, Size: > 0 } ? inode.Content : null, path.Display);
        }

        foreach (ulong other in (ulong[])[0, 1, (ulong)new FileInfo(image).Length >> 5, 1UL << 40, ulong.MaxValue])
        {
            contents.Find(other).ShouldBeNull();
        }
    }

    private void CheckWithTools(byte[] bytes)
    {
        Requirements.Program("fsck.erofs");
        Requirements.Program("dump.erofs");
        string image = _scratch.Combine("image");
        System.IO.File.WriteAllBytes(image, bytes);

        Tool.Run("fsck.erofs", [image]);
        Tool.Run("dump.erofs", ["-s", "-S", image]).ShouldContain("0xE0F5E1E2");
    }

    private static void ShouldHaveLinkCounts(RealTree real)
    {
        Dictionary<Inode, uint> names = new(ReferenceEqualityComparer.Instance);
        foreach ((_, Inode inode) in real.Tree.Walk())
        {
            uint expected = inode.Children is { } children
                ? 2 + (uint)children.Count(static child => child.Value.Kind == FileKind.Directory)
                : names.GetValueOrDefault(inode) + 1;
            names[inode] = expected;
        }

        foreach ((Inode inode, uint expected) in names)
        {
            real.Links[inode].ShouldBe(expected);
        }
    }
}
