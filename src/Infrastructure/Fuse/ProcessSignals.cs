using System.Globalization;
using System.Text;

namespace Starlight.Infrastructure.Fuse;

/// <summary>
/// Tells whether a thread that waits in the kernel is about to die. FUSE sends INTERRUPT for <em>any</em> signal, handled ones included (Go's
/// scheduler sends SIGURG all the time), but only a dying thread may be answered EINTR: a handled signal would turn a wait into a failed open.
/// </summary>
internal static class ProcessSignals
{
    private const ulong SigKill = 1UL << (9 - 1);

    /// <summary>
    /// Default action "core dump" (signal(7)): QUIT ILL TRAP ABRT BUS FPE SEGV XCPU XFSZ SYS. The kernel marks other fatal signals by SIGKILL in the
    /// pending set of every thread (complete_signal), but not these.
    /// </summary>
    private const ulong CoreDumping =
        1UL << 2 | 1UL << 3 | 1UL << 4 | 1UL << 5 | 1UL << 6 | 1UL << 7 | 1UL << 10 | 1UL << 23 | 1UL << 24 | 1UL << 30;

    /// <summary>
    /// True if the thread has a fatal signal pending, or is gone. <paramref name="pid"/> is the thread's id in our pid namespace; 0 (not visible from
    /// here) counts as dying, since keeping it would make it unkillable.
    /// </summary>
    public static bool IsDying(int pid)
    {
        if (pid <= 0)
        {
            return true;
        }

        try
        {
            return IsFatal(File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/status"), Encoding.ASCII));
        }
        catch (IOException)
        {
            return true; // gone: ENOENT, or ESRCH between open and read
        }
    }

    /// <summary>Reads <c>SigPnd, ShdPnd, SigBlk, SigIgn, SigCgt</c> of proc_pid_status(5), 16 hex digits each, bit n-1 for signal n.</summary>
    internal static bool IsFatal(string status)
    {
        ulong pending = Mask(status, "SigPnd:") | Mask(status, "ShdPnd:");
        ulong handled = Mask(status, "SigBlk:") | Mask(status, "SigIgn:") | Mask(status, "SigCgt:");
        return (pending & (SigKill | (CoreDumping & ~handled))) != 0;
    }

    private static ulong Mask(string status, string field)
    {
        int at = status.IndexOf(field, StringComparison.Ordinal);
        if (at < 0)
        {
            return 0;
        }

        ReadOnlySpan<char> rest = status.AsSpan(at + field.Length);
        int end = rest.IndexOf('\n');
        return ulong.TryParse((end < 0 ? rest : rest[..end]).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong mask) ? mask : 0;
    }
}
