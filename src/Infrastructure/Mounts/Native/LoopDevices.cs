using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Mounts.Native;

/// <summary>
/// Attaches image files to loop devices, for kernels whose EROFS cannot mount a file (before 6.12). loop(4), linux/loop.h:
/// <code>
/// loop_config     0  u32 fd            loop_info64 (at 8)   52  u32 lo_flags   (at 60)
///                 4  u32 block_size    ...                  56  u8  lo_file_name[64]
///                 8  loop_info64 (232)
///               240  u64 reserved[8]   = 304 bytes
/// </code>
/// </summary>
internal static unsafe partial class LoopDevices
{
    private const nuint LOOP_CTL_GET_FREE = 0x4C82;
    private const nuint LOOP_CONFIGURE = 0x4C0A;
    private const uint LO_FLAGS_READ_ONLY = 1;
    private const uint LO_FLAGS_AUTOCLEAR = 4;
    private const int ConfigSize = 304;
    private const int FlagsOffset = 60;
    private const int O_RDWR = 2;
    private const int O_CLOEXEC = 0x80000;

    /// <summary>Somebody else may take the free device before us; each try asks for another. Arbitrary.</summary>
    private const int MaxTries = 64;

    /// <summary>
    /// Attaches <paramref name="image"/> read-only. The device frees itself when its last user is gone (autoclear): keep the handle until the device is
    /// mounted, then close it.
    /// </summary>
    public static SafeFileHandle Attach(string image, out string devicePath)
    {
        using SafeFileHandle file = Open(image, 0, image);
        using SafeFileHandle control = Open("/dev/loop-control", O_RDWR, image);
        byte* config = stackalloc byte[ConfigSize];
        new Span<byte>(config, ConfigSize).Clear();
        *(uint*)config = (uint)file.DangerousGetHandle();
        *(uint*)(config + FlagsOffset) = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
        for (int attempt = 0; attempt < MaxTries; attempt++)
        {
            int number = IoctlNative((int)control.DangerousGetHandle(), LOOP_CTL_GET_FREE, null);
            if (number < 0)
            {
                throw new FailureException(MountErrors.LoopFailed(image, "LOOP_CTL_GET_FREE", Errno.Last));
            }

            devicePath = "/dev/loop" + number.ToString(CultureInfo.InvariantCulture);
            SafeFileHandle device = Open(devicePath, 0, image);
            if (IoctlNative((int)device.DangerousGetHandle(), LOOP_CONFIGURE, config) == 0)
            {
                return device;
            }

            int errno = Errno.Last;
            device.Dispose();
            if (errno != Errno.EBUSY)
            {
                throw new FailureException(MountErrors.LoopFailed(image, "LOOP_CONFIGURE", errno));
            }
        }

        throw new FailureException(MountErrors.LoopFailed(image, "finding a free device", Errno.EBUSY));
    }

    private static SafeFileHandle Open(string path, int flags, string image)
    {
        int fd = OpenNative(path, flags | O_CLOEXEC);
        return fd >= 0
            ? new SafeFileHandle(fd, ownsHandle: true)
            : throw new FailureException(MountErrors.LoopFailed(image, $"opening {path}", Errno.Last));
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenNative(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoctlNative(int fd, nuint request, byte* argument);
}
