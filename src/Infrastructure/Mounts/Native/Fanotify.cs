using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Mounts.Native;

/// <summary>
/// One fanotify group that hears of the opens of regular files in one file system (fanotify(7), FAN_CLASS_NOTIF): whoever opens does not wait for it. <see cref="Read"/> is for one thread;
/// <see cref="Stop"/> may come from any.
/// </summary>
internal sealed unsafe partial class Fanotify : IDisposable
{
    private const uint FAN_CLOEXEC = 1;
    private const uint FAN_NONBLOCK = 2;

    /// <summary>Nothing is lost while the reader is behind; needs CAP_SYS_ADMIN, as mounting does.</summary>
    private const uint FAN_UNLIMITED_QUEUE = 0x10;
    private const uint FAN_UNLIMITED_MARKS = 0x20;

    private const uint FAN_MARK_ADD = 1;
    private const uint FAN_MARK_IGNORED_MASK = 0x20;
    private const uint FAN_MARK_IGNORED_SURV_MODIFY = 0x40;
    private const uint FAN_MARK_FILESYSTEM = 0x100;

    /// <summary>The mark does not keep the inode in memory (Linux 5.19).</summary>
    private const uint FAN_MARK_EVICTABLE = 0x200;

    private const ulong FAN_OPEN = 0x20;

    private const int O_CLOEXEC = 0x80000;
    private const int O_NOATIME = 0x40000;
    private const int O_NONBLOCK = 0x800;

    /// <summary>Said to the kernel itself, which refuses to open files above 2 GB without; its number is not the same everywhere (open(2), asm/fcntl.h).</summary>
    private static readonly int O_LARGEFILE = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 0x8000 : 0x20000;

    private const short POLLIN = 1;

    /// <summary>struct fanotify_event_metadata: <c>event_len u32, vers u8, reserved u8, metadata_len u16, mask u64, fd s32, pid s32</c>.</summary>
    private const int EventSize = 24;
    private const int DescriptorOffset = 16;

    /// <summary>One read opens a descriptor for each event it brings: some at a time, so that a burst does not use them all up.</summary>
    private const int EventsPerRead = 64;

    private readonly SafeFileHandle _group;
    private readonly WakeEvent _stop = new();

    private Fanotify(SafeFileHandle group) => _group = group;

    /// <summary>From when this returns, every open is heard of.</summary>
    /// <param name="mountPoint">Any mount of the file system.</param>
    /// <exception cref="FailureException">Unsupported <c>Mount.NotWatched</c>: no fanotify, too many groups (<c>fs.fanotify.max_user_groups</c>), no permission.</exception>
    public static Fanotify Start(string mountPoint)
    {
        SafeFileHandle group = new(fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS, (uint)(O_CLOEXEC | O_NOATIME | O_NONBLOCK | O_LARGEFILE)), ownsHandle: true);
        if (!group.IsInvalid && fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, FileStatus.AT_FDCWD, mountPoint) == 0)
        {
            return new Fanotify(group);
        }

        int errno = Errno.Last;
        group.Dispose();
        throw new FailureException(new Error("Mount.NotWatched", $"the opens in {mountPoint} cannot be watched: {Errno.Describe(errno)}", ErrorKind.Unsupported));
    }

    /// <summary>Waits for opens, and hears no more of a file that was opened once.</summary>
    /// <param name="opened">Told the inode number of each; false if no more are wanted.</param>
    /// <returns>False once <see cref="Stop"/> was called and everything opened before has been told, or no more are wanted.</returns>
    public bool Read(Func<ulong, bool> opened)
    {
        Span<PollEntry> polled = [new() { Descriptor = Number(_group), Wanted = POLLIN }, new() { Descriptor = _stop.Descriptor, Wanted = POLLIN }];
        fixed (PollEntry* entries = polled)
        {
            while (poll(entries, (nuint)polled.Length, -1) < 0)
            {
                if (Errno.Last != Errno.EINTR)
                {
                    throw new IOException($"waiting for opens failed: {Errno.Describe(Errno.Last)}");
                }
            }
        }

        // Looked at before the queue: what is opened after the stop may be missed, nothing before it.
        bool stopped = polled[1].Happened != 0;
        return Drain(opened) && !stopped;
    }

    /// <summary>Ends the waiting.</summary>
    public void Stop() => _stop.Set();

    /// <summary>Nothing is heard any more, and whoever opens something pays nothing any more.</summary>
    public void Close() => _group.Dispose();

    public void Dispose()
    {
        Close();
        _stop.Dispose();
    }

    private static int Number(SafeFileHandle handle) => (int)handle.DangerousGetHandle();

    /// <returns>False if no more are wanted.</returns>
    private bool Drain(Func<ulong, bool> opened)
    {
        byte* buffer = stackalloc byte[EventsPerRead * EventSize];
        bool isWanted = true;
        while (isWanted)
        {
            nint length = read(_group, buffer, EventsPerRead * EventSize);
            if (length <= 0)
            {
                switch (length == 0 ? Errno.EAGAIN : Errno.Last)
                {
                    case Errno.EAGAIN:
                        return true;
                    case Errno.EINVAL:
                        throw new IOException($"reading opens failed: {Errno.Describe(Errno.Last)}");
                    default:
                        continue; // that file could not be opened for us (gone, or too many are open): its event is used up, the next are not
                }
            }

            for (ReadOnlySpan<byte> events = new(buffer, (int)length); events.Length >= EventSize; events = events[(int)BinaryPrimitives.ReadUInt32LittleEndian(events)..])
            {
                int descriptor = BinaryPrimitives.ReadInt32LittleEndian(events[DescriptorOffset..]);
                if (descriptor >= 0)
                {
                    using SafeFileHandle file = new(descriptor, ownsHandle: true);
                    isWanted = isWanted && Tell(file, opened);
                }
            }
        }

        return false;
    }

    private bool Tell(SafeFileHandle file, Func<ulong, bool> opened)
    {
        // Does its best: who fails to be ignored is told of again.
        _ = fanotify_mark(_group, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY | FAN_MARK_EVICTABLE, FAN_OPEN, Number(file), null);
        return FileStatus.Read(file, out FileStatus status) != 0 || opened(status.Inode);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fanotify_init(uint flags, uint eventFlags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int fanotify_mark(SafeFileHandle group, uint flags, ulong mask, int at, string? path);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(PollEntry* entries, nuint count, int timeout);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle file, byte* buffer, nuint length);

    /// <summary>struct pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Wanted;
        public short Happened;
    }
}
