using Microsoft.Win32.SafeHandles;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.Mounts;

/// <summary>What carries an EROFS mount.</summary>
public enum ErofsBacking
{
    /// <summary>The image file itself (Linux 6.12 and newer).</summary>
    File,

    /// <summary>A loop device that frees itself with the mount.</summary>
    Loop,
}

/// <summary>Mounts filesystem images, read-only.</summary>
public static class ErofsMounts
{
    private const string Type = "erofs";

    /// <summary>
    /// Mounts <paramref name="imageFile"/> at the directory, from the file if the kernel can, else through a loop device. The file must not change or go
    /// while it is mounted. Undo with <see cref="Unmount"/>.
    /// </summary>
    /// <exception cref="FailureException"><c>Mount.Failed</c> (not an EROFS image, no EROFS in the kernel), <c>Mount.LoopFailed</c>, <c>Mount.NotPermitted</c>.</exception>
    public static ErofsBacking Mount(string imageFile, string directory)
    {
        int errno = TryMountFile(imageFile, directory);
        switch (errno)
        {
            case 0:
                return ErofsBacking.File;
            case Errno.ENOTBLK: // "not a block device": this kernel's EROFS knows no files. Anything else is the image's or our fault.
                MountLoop(imageFile, directory);
                return ErofsBacking.Loop;
            default:
                throw new FailureException(MountErrors.MountFailed(Type, imageFile, directory, "", errno));
        }
    }

    /// <summary>Takes the mount away at once, even if containers still use it; they keep it until they end. False if nothing is mounted there.</summary>
    public static bool Unmount(string directory) => MountSyscalls.Detach(directory);

    internal static int TryMountFile(string imageFile, string directory) =>
        MountSyscalls.TryMount(imageFile, directory, Type, MountSyscalls.MS_RDONLY, "");

    internal static void MountLoop(string imageFile, string directory)
    {
        using SafeFileHandle device = LoopDevices.Attach(imageFile, out string devicePath);
        MountSyscalls.Mount(devicePath, directory, Type, MountSyscalls.MS_RDONLY, "");
    }
}
