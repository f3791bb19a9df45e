using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// The part of the EROFS on-disk format (Linux fs/erofs/erofs_fs.h; Documentation/filesystems/erofs.rst) that filesystem images use. All
/// numbers are little endian. docs/formats/filesystem-image.md says which choices make an image canonical.
/// <code>
/// super block, at byte 1024                    extended inode, 64 bytes      compact inode, 32 bytes
///   0 u32 magic E0F5E1E2                         0 u16 format                  0 u16 format
///   4 u32 crc32c of bytes 1024–4095              2 u16 xattr icount            2 u16 xattr icount
///   8 u32 compatible features                    4 u16 mode                    4 u16 mode
///  12 u8  log2 of the block size                 6 u16 0                       6 u16 nlink
///  13 u8  0 (extension slots)                    8 u64 size                    8 u32 size
///  14 u16 nid of the root directory             16 u32 block | dev | chunk    12 u32 0
///  16 u64 number of inodes                      20 u32 ino                    16 u32 block | dev | chunk
///  24 u64 epoch, s  (mtime of compact inodes)   24 u32 uid                    20 u32 ino
///  32 u32 epoch, ns                             28 u32 gid                    24 u16 uid
///  36 u32 number of blocks                      32 u64 mtime, s               26 u16 gid
///  40 u32 block of nid 0                        40 u32 mtime, ns              28 u32 0
///  44 u32 block of the shared xattrs            44 u32 nlink
///  48 u8[16] uuid                               48 u8[16] 0
///  64 u8[16] volume name, 0
///  80 u32 incompatible features                xattr body, after the inode    directory block, 4096 bytes
///  84 … 127: 0                                   0 u32 name filter, 0           12 bytes an entry:
///                                                4 u8  shared count               0 u64 nid
/// format: bit 0 extended, bits 1–3 layout        5 u8[7] 0                        8 u16 offset of the name
/// nid: byte offset of the inode / 32            12 u32 ids of shared xattrs      10 u8  file type
///                                                  …   xattr entries             11 u8  0
///                                              xattr entry, padded to 4         names, none terminated; the
///                                                0 u8 length of name              last one ends at the block's
///                                                1 u8 prefix index                zero padding or the size
///                                                2 u16 length of value
///                                                4 name without prefix, value
/// </code>
/// </summary>
internal static class ErofsFormat
{
    public const int BlockBits = 12;
    public const int BlockSize = 1 << BlockBits;
    public const int SlotBits = 5;
    public const int SlotSize = 1 << SlotBits;

    public const int SuperOffset = 1024;
    public const int SuperSize = 128;
    public const uint SuperMagic = 0xE0F5E1E2;

    /// <summary>SB_CHKSUM | MTIME: the checksum is there, and times are modification times.</summary>
    public const uint CompatibleFeatures = 0x1 | 0x2;

    /// <summary>CHUNKED_FILE. Kernels that do not know it refuse the mount (it came with 5.15).</summary>
    public const uint IncompatibleFeatures = 0x4;

    /// <summary>Nids count from byte 0, so this is the lowest: its inode follows the super block.</summary>
    public const int FirstNid = (SuperOffset + SuperSize) / SlotSize;

    public const int CompactSize = 32;
    public const int ExtendedSize = 64;

    /// <summary>The data are whole blocks.</summary>
    public const int LayoutPlain = 0;

    /// <summary>Whole blocks but for the tail, which follows inode and xattrs within one block.</summary>
    public const int LayoutInline = 2;

    /// <summary>An array of chunk addresses follows inode and xattrs.</summary>
    public const int LayoutChunked = 4;

    /// <summary>Chunk size 2^(12+31) bytes, 4-byte addresses: the largest chunks there are, so one address does for every file.</summary>
    public const ushort ChunkFormat = 31;

    /// <summary>A chunk that is a hole.</summary>
    public const uint NullAddress = 0xFFFFFFFF;

    public const int ChunkArraySize = 4;

    /// <summary>8 TiB, one chunk. ext4 holds 16 TiB, so no real file is refused.</summary>
    public const long MaxFileSize = 1L << (BlockBits + 31);

    public const int DirentSize = 12;
    public const int MaxNameLength = 255;

    /// <summary>PATH_MAX without the terminating zero: what symlink(2) takes.</summary>
    public const int MaxSymlinkLength = 4095;

    /// <summary>PATH_MAX allows no more than 2,048 components; deeper names could not be used.</summary>
    public const int MaxDepth = 2048;

    public const int XattrHeaderSize = 12;
    public const int XattrEntryHeaderSize = 4;
    public const int MaxSharedXattrs = 255;
    public const int MaxXattrValue = ushort.MaxValue;

    /// <summary>What the 16-bit icount can say: header and 65,534 words.</summary>
    public const int MaxXattrBody = XattrHeaderSize + ((ushort.MaxValue - 1) * 4);

    public const int TypeMask = 0xF000;

    private static readonly (string Prefix, byte Index)[] XattrPrefixes =
    [
        ("user.", 1), ("system.posix_acl_access", 2), ("system.posix_acl_default", 3), ("trusted.", 4), ("security.", 6),
    ];

    /// <summary>S_IFMT bits of a mode.</summary>
    public static int TypeBits(FileKind kind) => kind switch
    {
        FileKind.Regular => 0x8000,
        FileKind.Directory => 0x4000,
        FileKind.Symlink => 0xA000,
        FileKind.CharacterDevice => 0x2000,
        FileKind.BlockDevice => 0x6000,
        FileKind.Fifo => 0x1000,
        _ => throw new ArgumentException($"a tree has no inodes of kind {kind}", nameof(kind)),
    };

    /// <summary>The inverse of <see cref="TypeBits"/>; null for bits that no inode of ours has.</summary>
    public static FileKind? KindOf(int mode) => (mode & TypeMask) switch
    {
        0x8000 => FileKind.Regular,
        0x4000 => FileKind.Directory,
        0xA000 => FileKind.Symlink,
        0x2000 => FileKind.CharacterDevice,
        0x6000 => FileKind.BlockDevice,
        0x1000 => FileKind.Fifo,
        _ => null,
    };

    /// <summary>The type in a directory entry: the kernel's FT_* numbers.</summary>
    public static byte DirentType(FileKind kind) => kind switch
    {
        FileKind.Regular => 1,
        FileKind.Directory => 2,
        FileKind.CharacterDevice => 3,
        FileKind.BlockDevice => 4,
        FileKind.Fifo => 5,
        _ => 7,
    };

    public static long AlignToBlock(long position) => (position + BlockSize - 1) & ~(long)(BlockSize - 1);

    public static int XattrEntrySize(int nameLength, int valueLength) => (XattrEntryHeaderSize + nameLength + valueLength + 3) & ~3;

    /// <summary>Splits a name into prefix index and rest. False for namespaces EROFS cannot hold.</summary>
    public static bool TrySplitXattrName(string name, out byte index, out int prefixLength)
    {
        foreach ((string prefix, byte prefixIndex) in XattrPrefixes)
        {
            // The two ACL names are whole names, the others need something behind them.
            if (name.StartsWith(prefix, StringComparison.Ordinal) && (prefix.EndsWith('.') ? name.Length > prefix.Length : name.Length == prefix.Length))
            {
                index = prefixIndex;
                prefixLength = prefix.Length;
                return true;
            }
        }

        index = 0;
        prefixLength = 0;
        return false;
    }

    public static string? XattrPrefix(byte index) => Array.Find(XattrPrefixes, candidate => candidate.Index == index).Prefix;

    public static FailureException Malformed(string what) => new(new Error(
        "FilesystemImage.Malformed", $"the filesystem image is damaged or not one of ours: {what}; fetch it again", ErrorKind.DataCorrupt));

    public static FailureException Unsupported(string what) => new(new Error(
        "FilesystemImage.TreeUnsupported", $"the image's files do not fit a filesystem image: {what}", ErrorKind.ResourceExhausted));
}
