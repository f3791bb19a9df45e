using System.Runtime.InteropServices;

namespace Starlight.Infrastructure.Unpacking.Native;

/// <summary>
/// The system calls that make the inodes of a tree. Names are NUL-terminated bytes relative to a directory's descriptor, so no path grows long and none has to be UTF-8. All answer -1 and set errno,
/// or what the man page says.
/// </summary>
internal static unsafe partial class UnpackCalls
{
    public const int AT_FDCWD = -100;
    public const int AT_SYMLINK_NOFOLLOW = 0x100;
    public const int O_RDONLY = 0;
    public const int O_WRONLY = 1;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_CLOEXEC = 0x80000;
    public const int SEEK_SET = 0;
    public const int SEEK_END = 2;
    public const uint S_IFIFO = 0x1000;
    public const uint S_IFCHR = 0x2000;
    public const uint S_IFBLK = 0x6000;

    /// <summary>_IOW(0x94, 9, int): linux/fs.h.</summary>
    public const nuint FICLONE = 0x40049409;

    private static readonly bool Arm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    /// <summary>These two have other values on arm (asm/fcntl.h).</summary>
    public static readonly int O_DIRECTORY = Arm ? 0x4000 : 0x10000;

    public static readonly int O_NOFOLLOW = Arm ? 0x8000 : 0x20000;

    /// <summary>struct timespec of the 64-bit ABIs.</summary>
    private readonly record struct Timespec(long Seconds, long Nanoseconds);

    /// <summary>gnu_dev_makedev of the C library.</summary>
    public static ulong MakeDevice(uint major, uint minor) =>
        ((ulong)(major & 0xFFF) << 8) | ((ulong)(major & ~0xFFFu) << 32) | (minor & 0xFF) | ((ulong)(minor & ~0xFFu) << 12);

    /// <summary>Sets both the time of the last access and of the last change; of a symbolic link, the link's.</summary>
    public static int SetTimes(int directory, byte[] name, long seconds, long nanoseconds)
    {
        Timespec* times = stackalloc Timespec[2];
        times[0] = times[1] = new Timespec(seconds, nanoseconds);
        return UtimeAt(directory, name, times, AT_SYMLINK_NOFOLLOW);
    }

    public static int SetXattr(byte[] path, byte[] name, ReadOnlySpan<byte> value)
    {
        fixed (byte* bytes = value)
        {
            return SetXattrNative(path, name, bytes, (nuint)value.Length, 0);
        }
    }

    /// <summary>Copies from where the one descriptor stands to where the other stands.</summary>
    public static nint CopyFileRange(int from, int to, long length) => CopyFileRangeNative(from, null, to, null, (nuint)length, 0);

    public static nint Read(int fd, Span<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            return ReadNative(fd, bytes, (nuint)buffer.Length);
        }
    }

    public static nint Write(int fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            return WriteNative(fd, bytes, (nuint)buffer.Length);
        }
    }

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    public static partial int OpenAt(int directory, byte[] name, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "close")]
    public static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true)]
    public static partial int MkDirAt(int directory, byte[] name, uint mode);

    [LibraryImport("libc", EntryPoint = "mknodat", SetLastError = true)]
    public static partial int MkNodAt(int directory, byte[] name, uint mode, ulong device);

    [LibraryImport("libc", EntryPoint = "symlinkat", SetLastError = true)]
    public static partial int SymlinkAt(byte[] target, int directory, byte[] name);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true)]
    public static partial int LinkAt(int oldDirectory, byte[] oldName, int newDirectory, byte[] newName, int flags);

    [LibraryImport("libc", EntryPoint = "fchownat", SetLastError = true)]
    public static partial int ChownAt(int directory, byte[] name, uint uid, uint gid, int flags);

    [LibraryImport("libc", EntryPoint = "fchmodat", SetLastError = true)]
    public static partial int ChmodAt(int directory, byte[] name, uint mode, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Ioctl(int fd, nuint request, int argument);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    public static partial long Seek(int fd, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int Fsync(int fd);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    public static partial int SyncFs(int fd);

    [LibraryImport("libc", EntryPoint = "utimensat", SetLastError = true)]
    private static partial int UtimeAt(int directory, byte[] name, Timespec* times, int flags);

    [LibraryImport("libc", EntryPoint = "lsetxattr", SetLastError = true)]
    private static partial int SetXattrNative(byte[] path, byte[] name, byte* value, nuint size, int flags);

    [LibraryImport("libc", EntryPoint = "copy_file_range", SetLastError = true)]
    private static partial nint CopyFileRangeNative(int from, long* fromOffset, int to, long* toOffset, nuint length, uint flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadNative(int fd, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteNative(int fd, byte* buffer, nuint count);
}
