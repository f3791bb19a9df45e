using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Starlight.Infrastructure.Native;

/// <summary>What statx(2) says of a file, symbolic links not followed: .NET tells neither a file's owner nor its device, inode and blocks.</summary>
/// <param name="Mode">Type and permissions as in inode(7).</param>
/// <param name="Device">Major number in the upper, minor in the lower 32 bits.</param>
/// <param name="Blocks">Of 512 bytes.</param>
internal readonly unsafe partial record struct FileStatus(ushort Mode, uint Uid, uint Gid, ulong Device, ulong Inode, ulong Blocks)
{
    public const int AT_FDCWD = -100;

    private const int AT_SYMLINK_NOFOLLOW = 0x100;
    private const int AT_EMPTY_PATH = 0x1000;
    private const uint STATX_BASIC_STATS = 0x7ff;
    private const int S_IFMT = 0xF000;
    private const int S_IFSOCK = 0xC000;

    public bool IsSocket => (Mode & S_IFMT) == S_IFSOCK;

    /// <summary>0 or a negated errno.</summary>
    /// <param name="at">Descriptor of the directory that <paramref name="name"/> is relative to, or <see cref="AT_FDCWD"/>.</param>
    /// <param name="name">Zero-terminated.</param>
    /// <param name="status">Zeros on failure.</param>
    public static int Read(int at, byte[] name, out FileStatus status) => Read(at, name, AT_SYMLINK_NOFOLLOW, out status);

    /// <inheritdoc cref="Read(int, byte[], out FileStatus)"/>
    public static int Read(string path, out FileStatus status) => Read(AT_FDCWD, [.. Encoding.UTF8.GetBytes(path), 0], out status);

    /// <summary>Of an open file.</summary>
    /// <inheritdoc cref="Read(int, byte[], out FileStatus)"/>
    public static int Read(SafeFileHandle file, out FileStatus status) => Read((int)file.DangerousGetHandle(), [0], AT_EMPTY_PATH, out status);

    private static int Read(int at, byte[] name, int flags, out FileStatus status)
    {
        Statx raw;
        if (statx(at, name, flags, STATX_BASIC_STATS, &raw) != 0)
        {
            status = default;
            return -Marshal.GetLastPInvokeError();
        }

        status = new FileStatus(raw.Mode, raw.Uid, raw.Gid, ((ulong)raw.DeviceMajor << 32) | raw.DeviceMinor, raw.Inode, raw.Blocks);
        return 0;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int statx(int at, byte[] name, int flags, uint mask, Statx* status);

    /// <summary>struct statx (statx(2)): the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Statx
    {
        [FieldOffset(20)]
        public uint Uid;
        [FieldOffset(24)]
        public uint Gid;
        [FieldOffset(28)]
        public ushort Mode;
        [FieldOffset(32)]
        public ulong Inode;
        [FieldOffset(48)]
        public ulong Blocks;
        [FieldOffset(136)]
        public uint DeviceMajor;
        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
