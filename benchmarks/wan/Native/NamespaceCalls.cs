using System.Runtime.InteropServices;

namespace Starlight.Benchmarks.Wan.Native;

/// <summary>unshare(2), setns(2), execve(2).</summary>
internal static partial class NamespaceCalls
{
    public const int CLONE_NEWNET = 0x40000000;

    [LibraryImport("libc", SetLastError = true)]
    public static partial int unshare(int flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int setns(int descriptor, int type);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int execve(string path, string?[] arguments, string?[] environment);
}
