namespace Starlight.Infrastructure.Fuse.Native;

/// <summary>Requests of the FUSE protocol; names and numbers of linux/fuse.h. Those not listed are answered ENOSYS.</summary>
internal enum FuseOpcode : uint
{
    FUSE_LOOKUP = 1,
    FUSE_FORGET = 2,
    FUSE_GETATTR = 3,
    FUSE_OPEN = 14,
    FUSE_STATFS = 17,
    FUSE_RELEASE = 18,
    FUSE_GETXATTR = 22,
    FUSE_LISTXATTR = 23,
    FUSE_INIT = 26,
    FUSE_OPENDIR = 27,
    FUSE_READDIR = 28,
    FUSE_RELEASEDIR = 29,
    FUSE_ACCESS = 34,
    FUSE_INTERRUPT = 36,
    FUSE_DESTROY = 38,
    FUSE_BATCH_FORGET = 42,
    FUSE_READDIRPLUS = 44,
}

/// <summary>Sizes, offsets and flags of the structures we exchange; linux/fuse.h, protocol 7.38. All integers are in host order.</summary>
internal static class FuseAbi
{
    public const uint KernelVersion = 7;

    /// <summary>The newest minor whose structures are written here. An older kernel's own minor is answered to it.</summary>
    public const uint MinorVersion = 38;

    /// <summary>The oldest minor accepted: 7.31 (Linux 5.4) has every structure in its present size. Data-only layers need 6.5 (7.38) anyway.</summary>
    public const uint OldestMinorVersion = 31;

    /// <summary>FUSE_MIN_READ_BUFFER: the kernel refuses (EINVAL) to fill a smaller one. Our requests have at most a header and a 255-byte name.</summary>
    public const int RequestBufferSize = 8192;

    /// <summary>The longest reply we write: a container's directory with its 256 entries. The kernel asks for parts of it, as its reader's buffer is long.</summary>
    public const int ReplyBufferSize = OutHeaderSize + (256 * (EntryOutSize + DirentSize));

    public const int InHeaderSize = 40;
    public const int OutHeaderSize = 16;
    public const int EntryOutSize = 128;

    /// <summary>fuse_dirent with a name of up to eight bytes.</summary>
    public const int DirentSize = 32;

    public const int AttrOutSize = 104;
    public const int AttrSize = 88;
    public const int InitInMinSize = 16;
    public const int InitOutSize = 64;
    public const int OpenOutSize = 16;
    public const int StatfsOutSize = 80;

    /// <summary>A resent request has this bit in its unique (FUSE_UNIQUE_RESEND); it is still the same request.</summary>
    public const ulong UniqueResend = 1UL << 63;

    /// <summary>Lookups in one directory run in parallel. Without it a single parked lookup would block all others.</summary>
    public const uint FUSE_PARALLEL_DIROPS = 1 << 18;

    /// <summary>Listing a directory brings its entries into the kernel's cache, as so many lookups would.</summary>
    public const uint FUSE_DO_READDIRPLUS = 1 << 13;

    /// <summary>flags2 is valid.</summary>
    public const uint FUSE_INIT_EXT = 1 << 30;

    /// <summary>Bit 39: the kernel can hand out in-flight requests again (FUSE_NOTIFY_RESEND). In flags2.</summary>
    public const uint FUSE_HAS_RESEND_FLAGS2 = 1 << (39 - 32);

    /// <summary>Notification: forget a cached name (fuse_notify_inval_entry_out: parent u64, namelen u32, flags u32, name, NUL).</summary>
    public const int FUSE_NOTIFY_INVAL_ENTRY = 3;

    /// <summary>DT_DIR.</summary>
    public const uint DirentDirectory = 4;

    /// <summary>S_IFDIR | 0555.</summary>
    public const uint DirectoryMode = 0x4000 | 0x16D;
}
