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
    /// Mounts <paramref name="imageFile"/> at the directory. The file must not change or go while it is mounted. Undo with <see cref="Unmount"/>.
    /// </summary>
    /// <exception cref="FailureException"><c>Mount.Failed</c> (not an EROFS image, no EROFS in the kernel), <c>Mount.LoopFailed</c>, <c>Mount.NotPermitted</c>.</exception>
    public static void Mount(string imageFile, string directory, ErofsBacking backing)
    {
        if (backing == ErofsBacking.File)
        {
            MountSyscalls.Mount(imageFile, directory, Type, MountSyscalls.MS_RDONLY, "");
            return;
        }

        // Closed once it is mounted: from then on the mount is the device's last user, and the device goes with it, whatever becomes of this process.
        using SafeFileHandle device = LoopDevices.Attach(imageFile, out string devicePath);
        MountSyscalls.Mount(devicePath, directory, Type, MountSyscalls.MS_RDONLY, "");
    }

    /// <summary>Takes the mount away at once, even if containers still use it; they keep it until they end. False if nothing is mounted there.</summary>
    public static bool Unmount(string directory) => MountSyscalls.Detach(directory);
}
