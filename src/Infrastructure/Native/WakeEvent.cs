using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Starlight.Infrastructure.Native;

/// <summary>An eventfd(2) that wakes whoever waits for its descriptor, beside others, in poll(2) or epoll(7). Once set it stays set.</summary>
internal sealed unsafe partial class WakeEvent : IDisposable
{
    private const int EFD_CLOEXEC = 0x80000;
    private const int EFD_NONBLOCK = 0x800;

    private readonly SafeFileHandle _event = new(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ownsHandle: true);

    /// <exception cref="IOException">There can be no more descriptors.</exception>
    public WakeEvent()
    {
        if (_event.IsInvalid)
        {
            throw new IOException($"eventfd failed: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    public int Descriptor => (int)_event.DangerousGetHandle();

    public void Set()
    {
        ulong one = 1;
        _ = write(_event, &one, sizeof(ulong));
    }

    public void Dispose() => _event.Dispose();

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle file, void* buffer, nuint length);
}
