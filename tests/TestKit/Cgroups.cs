using System.Runtime.InteropServices;

namespace Starlight.TestKit;

/// <summary>
/// Makes a cgroup tree that runc can use where a machine has none or only part of one, and takes away again what it mounted. Where <c>/sys/fs/cgroup</c> is cgroup2, or has
/// every v1 controller that the kernel offers and runc asks for, nothing is touched.
/// </summary>
public sealed partial class Cgroups : IDisposable
{
    private const string Root = "/sys/fs/cgroup";

    private static readonly string[] s_controllers = ["devices", "memory", "cpu", "cpuacct", "cpuset", "blkio", "pids", "freezer"];
    private static readonly Lock s_gate = new();
    private static readonly Stack<string> s_mounted = [];
    private static int s_users;

    private bool _disposed;

    private Cgroups()
    {
    }

    /// <summary>Nested calls in one process share what is mounted; the last one disposed unmounts it. Needs root.</summary>
    public static Cgroups Ensure()
    {
        lock (s_gate)
        {
            if (s_users++ == 0)
            {
                MountMissing();
            }
        }

        return new Cgroups();
    }

    public void Dispose()
    {
        lock (s_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            if (--s_users > 0)
            {
                return;
            }

            while (s_mounted.TryPop(out string? path))
            {
                // Busy means that somebody else has begun to use it: then it stays.
                _ = umount2(path, 0);
            }
        }
    }

    private static void MountMissing()
    {
        List<MountEntry> mounts = MountEntry.ReadAll();
        if (mounts.Exists(m => m.Path == Root && m.Type == "cgroup2"))
        {
            return;
        }

        List<string> enabled = EnabledControllers();
        if (enabled.Count == 0)
        {
            Mount("cgroup2", Root, "cgroup2", "");
            return;
        }

        if (!mounts.Exists(m => m.Path == Root))
        {
            Mount("tmpfs", Root, "tmpfs", "mode=755"); // sysfs itself takes no directories
        }

        foreach (string controller in enabled)
        {
            if (!mounts.Exists(m => m.Type == "cgroup" && m.SuperOptions.Contains(controller)))
            {
                Mount("cgroup", Directory.CreateDirectory(Path.Combine(Root, controller)).FullName, "cgroup", controller);
            }
        }

        if (!mounts.Exists(m => m.Type == "cgroup" && m.SuperOptions.Contains("name=systemd")))
        {
            Mount("cgroup", Directory.CreateDirectory(Path.Combine(Root, "systemd")).FullName, "cgroup", "none,name=systemd");
        }
    }

    /// <summary>Rows of /proc/cgroups: name, hierarchy, number of cgroups, enabled.</summary>
    private static List<string> EnabledControllers() =>
    [
        .. File.ReadLines("/proc/cgroups")
            .Select(line => line.Split('\t'))
            .Where(row => row.Length == 4 && row[3] == "1" && s_controllers.Contains(row[0]))
            .Select(row => row[0]),
    ];

    private static void Mount(string source, string path, string type, string options)
    {
        if (mount(source, path, type, 0, options) != 0)
        {
            throw new InvalidOperationException($"mount -t {type} -o '{options}' {path}: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        s_mounted.Push(path);
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mount(string source, string target, string type, ulong flags, string data);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int umount2(string target, int flags);
}

/// <summary>
/// One line of /proc/self/mountinfo (proc(5)):
/// <code>36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue</code>
/// </summary>
/// <param name="Path">Where it is mounted.</param>
/// <param name="Type">Filesystem type.</param>
/// <param name="SuperOptions">Options of the filesystem, not of the mount: for cgroup v1 the controllers.</param>
public sealed record MountEntry(string Path, string Type, string[] SuperOptions)
{
    /// <summary>In the order of mounting.</summary>
    public static List<MountEntry> ReadAll() => [.. File.ReadLines("/proc/self/mountinfo").Select(Parse)];

    private static MountEntry Parse(string line)
    {
        string[] fields = line.Split(' ');
        int separator = Array.IndexOf(fields, "-");
        return new MountEntry(Unescape(fields[4]), fields[separator + 1], fields[separator + 3].Split(','));
    }

    private static string Unescape(string path) => path.Replace("\\040", " ").Replace("\\011", "\t").Replace("\\012", "\n").Replace("\\134", "\\");
}
