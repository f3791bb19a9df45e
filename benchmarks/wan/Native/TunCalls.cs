using System.Runtime.InteropServices;

namespace Starlight.Benchmarks.Wan.Native;

/// <summary>What an emulated link asks of the kernel: linux/if_tun.h, read(2), write(2), ppoll(2), sched_setscheduler(2).</summary>
internal static unsafe partial class TunCalls
{
    public const int O_RDWR = 2;
    public const int O_NONBLOCK = 0x800;
    public const int O_CLOEXEC = 0x80000;
    public const uint TUNSETIFF = 0x400454CA;
    public const uint TUNSETOFFLOAD = 0x400454D0;
    public const short IFF_TUN = 1;
    public const short IFF_NO_PI = 0x1000;
    public const short IFF_VNET_HDR = 0x4000;
    public const uint TUN_F_CSUM = 1;
    public const uint TUN_F_TSO4 = 2;
    public const int SCHED_FIFO = 1;
    public const short POLLIN = 1;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int close(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int ioctl(int descriptor, ulong request, InterfaceRequest* argument);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int ioctl(int descriptor, ulong request, ulong argument);

    [LibraryImport("libc")]
    public static partial nint read(int descriptor, byte* buffer, nint length);

    [LibraryImport("libc")]
    public static partial nint write(int descriptor, byte* buffer, nint length);

    [LibraryImport("libc")]
    public static partial int ppoll(PollDescriptor* descriptors, ulong count, TimeSpec* timeout, void* signals);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int sched_setscheduler(int thread, int policy, int* priority);

    /// <summary>struct ifreq: the name, then the flags.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    public struct InterfaceRequest
    {
        [FieldOffset(0)]
        public fixed byte Name[16];
        [FieldOffset(16)]
        public short Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct TimeSpec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }
}
