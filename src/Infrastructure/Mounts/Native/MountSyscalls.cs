using System.Runtime.InteropServices;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Mounts.Native;

/// <summary>
/// mount(2), umount2(2), and what else it takes to try a mount out. The system calls are made directly and not through mount(8): util-linux quietly puts a loop device
/// under a file-backed EROFS mount.
/// </summary>
internal static partial class MountSyscalls
{
    public const ulong MS_RDONLY = 1;
    public const ulong MS_NOSUID = 2;
    public const ulong MS_NODEV = 4;
    public const int MNT_DETACH = 2;

    /// <summary>
    /// The kernel copies one page of option text. Longer options are refused before they are cut off in the middle of a path.
    /// mount(2), "Notes": data is at most one page.
    /// </summary>
    public const int MaxOptionBytes = 4095;

    /// <summary>Mounts, or throws <c>Mount.Failed</c>.</summary>
    public static void Mount(string source, string target, string type, ulong flags, string options)
    {
        if (MountNative(source, target, type, (nuint)flags, options) != 0)
        {
            throw new FailureException(MountErrors.MountFailed(type, source, target, options, Errno.Last));
        }
    }

    /// <summary>
    /// Takes the mount away at once; what is still open in it lives until it is closed (MNT_DETACH). False if nothing is mounted there (EINVAL) or
    /// the directory is gone.
    /// </summary>
    public static bool Detach(string target)
    {
        if (UnmountNative(target, MNT_DETACH) == 0)
        {
            return true;
        }

        int errno = Errno.Last;
        return errno is Errno.EINVAL or Errno.ENOENT ? false : throw new FailureException(MountErrors.UnmountFailed(target, errno));
    }

    /// <summary>link(2), which .NET has not.</summary>
    /// <exception cref="IOException">It failed.</exception>
    public static void Link(string existing, string name)
    {
        if (LinkNative(existing, name) != 0)
        {
            throw new IOException($"linking {name} to {existing} failed: {Errno.Describe(Errno.Last)}");
        }
    }

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LinkNative(string existing, string name);

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MountNative(string source, string target, string type, nuint flags, string data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnmountNative(string target, int flags);
}
