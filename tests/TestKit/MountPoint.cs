using System.Runtime.InteropServices;

namespace Starlight.TestKit;

/// <summary>A file system mounted with mount(2) itself (mount(8) would put a loop device in between); unmounted when disposed.</summary>
public sealed partial class MountPoint : IDisposable
{
    private const ulong ReadOnly = 1;
    private const int DetachAtOnce = 2;

    private MountPoint(string path) => Path = path;

    public string Path { get; }

    /// <summary>Mounts an EROFS image straight from its file (Linux 6.12 and later).</summary>
    public static MountPoint Erofs(string image, string target) => Mount(image, target, "erofs", ReadOnly, "");

    public static MountPoint Overlay(string options, string target) => Mount("overlay", target, "overlay", 0, options);

    public void Dispose()
    {
        if (NativeUnmount(Path, DetachAtOnce) != 0)
        {
            throw new IOException($"umount {Path}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    private static MountPoint Mount(string source, string target, string type, ulong flags, string options) =>
        NativeMount(source, target, type, flags, options) == 0
            ? new MountPoint(target)
            : throw new IOException($"mount -t {type} -o {options} {source} {target}: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeMount(string source, string target, string type, ulong flags, string data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeUnmount(string target, int flags);
}
