using System.Runtime.InteropServices;
using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Snapshots.Native;

/// <summary>
/// System calls on directory trees. Names are bytes throughout: a container may create names that are no UTF-8, which .NET's file API can neither open nor delete.
/// </summary>
internal static unsafe partial class DirectoryCalls
{
    public const int AT_FDCWD = FileStatus.AT_FDCWD;
    public const int AT_REMOVEDIR = 0x200;

    public const int ENOENT = 2;
    public const int EEXIST = 17;
    public const int EXDEV = 18;
    public const int ENOTDIR = 20;
    public const int EISDIR = 21;
    public const int ENOSPC = 28;
    public const int ENOTEMPTY = 39;
    public const int EDQUOT = 122;

    public const byte DT_UNKNOWN = 0;
    public const byte DT_DIR = 4;

    public const long TMPFS_MAGIC = 0x01021994;

    private const int O_RDONLY = 0;
    private const int O_CLOEXEC = 0x80000;

    private static readonly bool Arm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    /// <summary>These two flags have other values on arm (asm/fcntl.h).</summary>
    private static readonly int O_DIRECTORY = Arm ? 0x4000 : 0x10000;

    private static readonly int O_NOFOLLOW = Arm ? 0x8000 : 0x20000;

    public static byte[] Bytes(string text) => [.. Encoding.UTF8.GetBytes(text), 0];

    /// <summary>A directory's descriptor, or a negated errno. Never follows a symbolic link.</summary>
    public static int OpenDirectory(int at, byte[] name)
    {
        int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
        return fd >= 0 ? fd : -Marshal.GetLastPInvokeError();
    }

    /// <summary>All entries but "." and "..", read at once. The descriptor stays open.</summary>
    public static List<DirectoryEntry> Entries(int fd, string path)
    {
        // fdopendir takes the descriptor over, so it gets its own.
        int own = openat(fd, Bytes("."), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
        nint stream = own < 0 ? 0 : fdopendir(own);
        if (stream == 0)
        {
            throw Failure("read", path, Marshal.GetLastPInvokeError());
        }

        try
        {
            List<DirectoryEntry> entries = [];
            while (true)
            {
                Marshal.SetLastSystemError(0);
                byte* entry = readdir(stream);
                if (entry == null)
                {
                    int errno = Marshal.GetLastPInvokeError();
                    return errno == 0 ? entries : throw Failure("read", path, errno);
                }

                ReadOnlySpan<byte> name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(entry + DirentNameOffset);
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                {
                    entries.Add(new DirectoryEntry([.. name, 0], entry[DirentTypeOffset]));
                }
            }
        }
        finally
        {
            closedir(stream);
        }
    }

    /// <summary>0 or a negated errno.</summary>
    public static int Unlink(int at, byte[] name, bool directory) => unlinkat(at, name, directory ? AT_REMOVEDIR : 0) == 0 ? 0 : -Marshal.GetLastPInvokeError();

    /// <summary>0 or a negated errno.</summary>
    public static int Rename(int fromAt, byte[] from, int toAt, byte[] to) => renameat(fromAt, from, toAt, to) == 0 ? 0 : -Marshal.GetLastPInvokeError();

    /// <summary>Makes one directory with exactly this mode, whatever the umask. 0 or a negated errno.</summary>
    public static int MakeDirectory(string path, uint mode)
    {
        byte[] name = Bytes(path);
        return mkdir(name, mode) == 0 && chmod(name, mode) == 0 ? 0 : -Marshal.GetLastPInvokeError();
    }

    public static int ChangeOwner(string path, uint uid, uint gid) => lchown(Bytes(path), uid, gid) == 0 ? 0 : -Marshal.GetLastPInvokeError();

    public static void Close(int fd) => _ = close(fd);

    /// <summary>True if the path lies on tmpfs, which allows no <c>user.*</c> attributes before Linux 6.6.</summary>
    public static bool IsOnTmpfs(string path)
    {
        long* buffer = stackalloc long[32];
        return statfs(Bytes(path), buffer) == 0 && buffer[0] == TMPFS_MAGIC;
    }

    /// <summary>Whether this mount works here. The target is unmounted again.</summary>
    public static bool CanMount(string type, string target, string options)
    {
        if (mount(Bytes(type), Bytes(target), Bytes(type), 0, Bytes(options)) != 0)
        {
            return false;
        }

        _ = umount2(Bytes(target), MNT_DETACH);
        return true;
    }

    public static FailureException Failure(string verb, string path, int errno) => new(
        errno is ENOSPC or EDQUOT
            ? new Error("SnapshotDirectory.DiskFull", $"cannot {verb} {path}: no space left; free some", ErrorKind.ResourceExhausted)
            : new Error("SnapshotDirectory.Failed", $"cannot {verb} {path}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})", ErrorKind.Internal));

    // struct dirent of the 64-bit ABIs: d_ino 8, d_off 8, d_reclen 2, d_type 1, d_name (readdir(3)).
    private const int DirentTypeOffset = 18;
    private const int DirentNameOffset = 19;
    private const int MNT_DETACH = 2;

    [LibraryImport("libc", SetLastError = true)]
    private static partial int openat(int at, byte[] name, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint fdopendir(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial byte* readdir(nint stream);

    [LibraryImport("libc")]
    private static partial int closedir(nint stream);

    [LibraryImport("libc")]
    private static partial int close(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unlinkat(int at, byte[] name, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int renameat(int fromAt, byte[] from, int toAt, byte[] to);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mkdir(byte[] path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int chmod(byte[] path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int lchown(byte[] path, uint uid, uint gid);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int statfs(byte[] path, long* status);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mount(byte[] source, byte[] target, byte[] type, nuint flags, byte[] data);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int umount2(byte[] target, int flags);
}

/// <param name="Name">Zero-terminated.</param>
/// <param name="Type">d_type of readdir(3).</param>
internal readonly record struct DirectoryEntry(byte[] Name, byte Type);
