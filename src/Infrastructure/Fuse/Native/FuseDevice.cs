using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Fuse.Native;

/// <summary>
/// One open /dev/fuse: the kernel's end of one FUSE mount. Reads and writes are atomic per message and may come from any thread. The connection
/// lives until the last copy of the descriptor is closed, so it is never cloned (FUSE_DEV_IOC_CLONE): closing a clone would abort the requests that
/// were read through it.
/// </summary>
/// <remarks>
/// The descriptor is non-blocking and readers wait in poll(2) together with a wake-up event: a reader that blocked in read(2) could not be told to
/// stop, as a detached mount lives on as long as an overlay uses it.
/// </remarks>
internal sealed unsafe partial class FuseDevice : IDisposable
{
    private const int O_RDWR = 2;
    private const int O_NONBLOCK = 0x800;
    private const int O_CLOEXEC = 0x80000;

    private readonly SafeFileHandle _device;
    private readonly WakeEvent _stop;

    private FuseDevice(SafeFileHandle device, WakeEvent stop)
    {
        _device = device;
        _stop = stop;
    }

    /// <summary>The descriptor's number, for the mount option <c>fd=</c>.</summary>
    public int Descriptor => (int)_device.DangerousGetHandle();

    /// <summary>Fails with Unsupported if this machine has no FUSE.</summary>
    public static FuseDevice Open()
    {
        fixed (byte* path = "/dev/fuse\0"u8)
        {
            int fd = OpenNative(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
            if (fd < 0)
            {
                int errno = Errno.Last;
                throw new FailureException(new Error(
                    "Gate.FuseUnavailable",
                    $"opening /dev/fuse failed: {Errno.Describe(errno)}; load the fuse module (modprobe fuse) and run the daemon as root",
                    ErrorKind.Unsupported));
            }

            SafeFileHandle device = new(fd, ownsHandle: true);
            try
            {
                return new FuseDevice(device, new WakeEvent());
            }
            catch (IOException)
            {
                device.Dispose();
                throw;
            }
        }
    }

    /// <summary>
    /// Waits in <paramref name="queue"/> for the next request and copies it into <paramref name="buffer"/> (at least <see cref="FuseAbi.RequestBufferSize"/>, 8-byte aligned).
    /// Gives its length, or 0 when <see cref="Stop"/> was called or the mount is gone (ENODEV).
    /// </summary>
    public int Read(Span<byte> buffer, FuseQueue queue)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                nint length = ReadNative(Descriptor, start, (nuint)buffer.Length);
                if (length > 0)
                {
                    return (int)length;
                }

                switch (Errno.Last)
                {
                    case Errno.EAGAIN:
                        if (!queue.Wait())
                        {
                            return 0;
                        }

                        break;
                    case Errno.EINTR or Errno.ENOENT: // ENOENT: the request was aborted while it was handed over (libfuse, fuse_lowlevel.c)
                        break;
                    case Errno.ENODEV:
                        return 0;
                    default:
                        throw new IOException($"reading /dev/fuse failed: {Errno.Describe(Errno.Last)}");
                }
            }
        }
    }

    /// <summary>Writes one reply or notification. Gives 0 or the errno; ENOENT means that nobody waits for it any more.</summary>
    public int Write(ReadOnlySpan<byte> message)
    {
        fixed (byte* start = message)
        {
            while (WriteNative(Descriptor, start, (nuint)message.Length) < 0)
            {
                int errno = Errno.Last;
                if (errno != Errno.EINTR)
                {
                    return errno;
                }
            }

            return 0;
        }
    }

    /// <summary>Where one thread waits for requests; disposed of before this.</summary>
    public FuseQueue CreateQueue() => new(Descriptor, _stop.Descriptor);

    /// <summary>Makes every present and later <see cref="Read"/> give 0.</summary>
    public void Stop() => _stop.Set();

    /// <summary>Closes the connection: whoever still waits in the kernel gets ENOTCONN. No reader may be active.</summary>
    public void Dispose()
    {
        _device.Dispose();
        _stop.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true)]
    private static partial int OpenNative(byte* path, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadNative(int fd, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteNative(int fd, byte* buffer, nuint count);
}
