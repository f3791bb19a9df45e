using System.Globalization;
using System.Text;
using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.Mounts;

/// <summary>One mount of the calling thread's mount namespace.</summary>
/// <param name="Id">The kernel's mount id.</param>
/// <param name="ParentId">Mount id of the mount it sits on.</param>
/// <param name="MountPoint">Absolute path, unescaped.</param>
/// <param name="Options">Per-mount options, comma-separated.</param>
/// <param name="FileSystemType">With its subtype, e.g. <c>fuse.starlight</c>.</param>
/// <param name="Source">Device, image file or whatever the file system names.</param>
/// <param name="SuperOptions">Options of the file system itself, comma-separated.</param>
public sealed record MountTableEntry(
    int Id, int ParentId, string MountPoint, string Options, string FileSystemType, string Source, string SuperOptions);

/// <summary>
/// Reads /proc/thread-self/mountinfo (a thread may have a mount namespace of its own); proc_pid_mountinfo(5):
/// <code>
/// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 … - ext3 /dev/root rw,errors=continue
/// id parent maj:min root mountpoint options [optional fields] - type source superoptions
/// </code>
/// Space, tab, newline and backslash within a field are written as <c>\040 \011 \012 \134</c>.
/// </summary>
public static class MountTable
{
    private const string Path = "/proc/thread-self/mountinfo";

    /// <summary>All mounts, in the order they were made; of several on one directory the last is the visible one.</summary>
    public static IReadOnlyList<MountTableEntry> Read() => Parse(File.ReadAllText(Path, Encoding.UTF8));

    /// <summary>The visible mount exactly at <paramref name="mountPoint"/>, or null. Does not touch the path itself, which may be dead.</summary>
    public static MountTableEntry? Find(string mountPoint)
    {
        string wanted = mountPoint.Length > 1 ? mountPoint.TrimEnd('/') : mountPoint;
        return Read().LastOrDefault(entry => entry.MountPoint == wanted);
    }

    /// <summary>
    /// Detaches everything mounted below a directory, the latest first. What still uses a mount keeps it until it lets go. Returns how many there were.
    /// </summary>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException"><c>Mount.UnmountFailed</c>.</exception>
    public static int DetachBelow(string directory)
    {
        string prefix = directory.TrimEnd('/') + "/";
        return Read().Reverse().Count(entry => entry.MountPoint.StartsWith(prefix, StringComparison.Ordinal) && MountSyscalls.Detach(entry.MountPoint));
    }

    /// <summary>Lines that do not have the documented fields are left out: a newer kernel's addition must not stop us.</summary>
    internal static IReadOnlyList<MountTableEntry> Parse(string text)
    {
        var entries = new List<MountTableEntry>();
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] fields = line.Split(' ');
            int separator = Array.IndexOf(fields, "-", Math.Min(6, fields.Length));
            if (separator >= 6
                && fields.Length >= separator + 4
                && int.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                && int.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out int parent))
            {
                entries.Add(new MountTableEntry(
                    id, parent, Unescape(fields[4]), fields[5], Unescape(fields[separator + 1]), Unescape(fields[separator + 2]), fields[separator + 3]));
            }
        }

        return entries;
    }

    private static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal))
        {
            return field;
        }

        var text = new StringBuilder(field.Length);
        for (int i = 0; i < field.Length; i++)
        {
            if (field[i] == '\\' && i + 3 < field.Length && IsOctal(field[i + 1]) && IsOctal(field[i + 2]) && IsOctal(field[i + 3]))
            {
                text.Append((char)(((field[i + 1] - '0') << 6) | ((field[i + 2] - '0') << 3) | (field[i + 3] - '0')));
                i += 3;
            }
            else
            {
                text.Append(field[i]);
            }
        }

        return text.ToString();
    }

    private static bool IsOctal(char c) => c is >= '0' and <= '7';
}
