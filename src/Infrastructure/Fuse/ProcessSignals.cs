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
    /// The signals whose default action does not end the process (signal(7)): CHLD CONT URG WINCH are ignored, STOP TSTP TTIN TTOU stop it.
    /// </summary>
    private const ulong Harmless = 1UL << 16 | 1UL << 17 | 1UL << 22 | 1UL << 27 | 1UL << 18 | 1UL << 19 | 1UL << 20 | 1UL << 21;

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
    /// <remarks>
    /// The kernel marks a dying thread by a pending SIGKILL whatever the fatal signal was, but not if that dumps core, and not if a single-threaded process
    /// had another signal pending before (kernel/signal.c, complete_signal). So the rule is spelled out: pending, default action, and that ends it.
    /// </remarks>
    internal static bool IsFatal(string status)
    {
        ulong pending = Mask(status, "SigPnd:") | Mask(status, "ShdPnd:");
        ulong handled = Mask(status, "SigBlk:") | Mask(status, "SigIgn:") | Mask(status, "SigCgt:");
        return (pending & (SigKill | ~(Harmless | handled))) != 0;
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
