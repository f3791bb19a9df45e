using System.Runtime.InteropServices;

namespace Starlight.Infrastructure.Objects.Native;

/// <summary>
/// The file calls of the object store, made directly: <see cref="File"/> adds an fstat, an flock and string marshalling to every open, which
/// doubles what a small object costs. Paths are NUL-terminated bytes relative to the store's directory handle.
/// </summary>
internal static unsafe partial class ObjectSyscalls
{
    public const int O_RDONLY = 0;
    public const int O_WRONLY = 1;
    public const int O_CLOEXEC = 0x80000;
    public const int F_OK = 0;

    /// <summary>linkat: the file is the descriptor itself. Needs CAP_DAC_READ_SEARCH, which a daemon that mounts has.</summary>
    public const int AT_EMPTY_PATH = 0x1000;

    /// <summary>fcntl.h differs between x86-64 and arm64 in this one bit.</summary>
    public static readonly int O_DIRECTORY = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x4000 : 0x10000;

    /// <summary>A file without a name: open(2), O_TMPFILE; the flag contains O_DIRECTORY.</summary>
    public static readonly int O_TMPFILE = 0x400000 | O_DIRECTORY;

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    public static partial int OpenAt(int directory, byte* path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true)]
    public static partial int MkDirAt(int directory, byte* path, uint mode);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int fd, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true)]
    public static partial int LinkAt(int oldDirectory, byte* oldPath, int newDirectory, byte* newPath, int flags);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    public static partial int UnlinkAt(int directory, byte* path, int flags);

    [LibraryImport("libc", EntryPoint = "faccessat", SetLastError = true)]
    public static partial int FAccessAt(int directory, byte* path, int mode, int flags);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    public static partial int SyncFs(int fd);
}
