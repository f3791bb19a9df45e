using System.Runtime.InteropServices;

namespace Starlight.Infrastructure.Mounts.Native;

/// <summary>The errno values our adapters answer or tell apart, spelled as in errno(3). The numbers are those of every Linux architecture .NET runs on.</summary>
internal static class Errno
{
    public const int EPERM = 1;
    public const int ENOENT = 2;
    public const int EINTR = 4;
    public const int EIO = 5;
    public const int EAGAIN = 11;
    public const int EBUSY = 16;
    public const int EEXIST = 17;
    public const int EXDEV = 18;
    public const int ENODEV = 19;
    public const int EINVAL = 22;
    public const int ENOSPC = 28;
    public const int EPROTO = 71;
    public const int ENOSYS = 38;
    public const int EOPNOTSUPP = 95;
    public const int ENOTCONN = 107;
    public const int EDQUOT = 122;

    /// <summary>What the failed call left in errno. Read it before anything else runs on the thread.</summary>
    public static int Last => Marshal.GetLastPInvokeError();

    /// <summary>The system's sentence for an errno, with its number, e.g. <c>No space left on device (errno 28)</c>.</summary>
    public static string Describe(int errno) => $"{Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})";
}
