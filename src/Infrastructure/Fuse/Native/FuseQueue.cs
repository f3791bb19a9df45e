using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.Fuse.Native;

/// <summary>
/// One thread's wait for the requests of a <see cref="FuseDevice"/>. An epoll instance of its own with EPOLLEXCLUSIVE: of several threads the kernel wakes one per request, and another only
/// while that is busy. With poll(2) it woke all, which cost as much again as the answer. Not safe for concurrent use.
/// </summary>
internal sealed unsafe partial class FuseQueue : IDisposable
{
    private const int EPOLL_CLOEXEC = 0x80000;
    private const int EPOLL_CTL_ADD = 1;
    private const uint EPOLLIN = 1;
    private const uint EPOLLEXCLUSIVE = 1u << 28;

    /// <summary>struct epoll_event: <c>events u32, data u64</c>, packed on x86-64 only.</summary>
    private static readonly int DataOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

    /// <summary>With room for both layouts.</summary>
    private const int EventSize = 16;

    private readonly SafeFileHandle _epoll;
    private readonly int _stop;

    /// <param name="device">Descriptor of the device.</param>
    /// <param name="stop">Descriptor of an event that ends all waits, for good.</param>
    public FuseQueue(int device, int stop)
    {
        _stop = stop;
        int fd = EpollCreateNative(EPOLL_CLOEXEC);
        _epoll = new SafeFileHandle(fd, ownsHandle: true);
        if (fd < 0 || !Add(device, EPOLLIN | EPOLLEXCLUSIVE) || !Add(stop, EPOLLIN))
        {
            int errno = Errno.Last;
            _epoll.Dispose();
            throw new InvalidOperationException($"epoll on /dev/fuse failed: {Errno.Describe(errno)}");
        }
    }

    /// <summary>Returns when there may be a request. False: it is time to stop.</summary>
    public bool Wait()
    {
        byte* ready = stackalloc byte[2 * EventSize];
        int count;
        while ((count = EpollWaitNative((int)_epoll.DangerousGetHandle(), ready, 2, -1)) < 0)
        {
            if (Errno.Last != Errno.EINTR)
            {
                throw new IOException($"waiting for /dev/fuse failed: {Errno.Describe(Errno.Last)}");
            }
        }

        for (int i = 0; i < count; i++)
        {
            if (*(int*)(ready + (i * (DataOffset + sizeof(ulong))) + DataOffset) == _stop)
            {
                return false;
            }
        }

        return true;
    }

    public void Dispose() => _epoll.Dispose();

    private bool Add(int descriptor, uint events)
    {
        byte* wanted = stackalloc byte[EventSize];
        new Span<byte>(wanted, EventSize).Clear();
        *(uint*)wanted = events;
        *(int*)(wanted + DataOffset) = descriptor;
        return EpollControlNative((int)_epoll.DangerousGetHandle(), EPOLL_CTL_ADD, descriptor, wanted) == 0;
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreateNative(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int EpollControlNative(int epoll, int operation, int descriptor, byte* wanted);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int EpollWaitNative(int epoll, byte* ready, int capacity, int timeoutMilliseconds);
}
