using Starlight.Application.Abstractions.Snapshots;

namespace Starlight.Infrastructure.Snapshots;

/// <summary>Finds out what the overlayfs snapshotter finds out at its start (snapshots/overlay/overlay.go, overlayutils/check.go).</summary>
internal static class OverlayProbe
{
    public static OverlayFeatures Run(string directory) =>
        new(IndexOff: File.Exists("/sys/module/overlay/parameters/index"), UserXattr: NeedsUserXattr(directory), MetacopyOff: File.Exists("/sys/module/overlay/parameters/metacopy"));

    private static bool NeedsUserXattr(string directory)
    {
        if (!RunsInUserNamespace(File.ReadAllText("/proc/self/uid_map")) || Native.DirectoryCalls.IsOnTmpfs(directory))
        {
            return false;
        }

        // Kernels before 5.11 do not know the option; those of Debian and Ubuntu mount without it.
        string scratch = Path.Combine(directory, "new-" + Path.GetRandomFileName());
        try
        {
            foreach (string part in (string[])["lower1", "lower2", "upper", "work", "merged"])
            {
                Directory.CreateDirectory(Path.Combine(scratch, part));
            }

            return Native.DirectoryCalls.CanMount(
                "overlay", $"{scratch}/merged", $"lowerdir={scratch}/lower2:{scratch}/lower1,upperdir={scratch}/upper,workdir={scratch}/work,userxattr");
        }
        finally
        {
            DirectoryTree.Delete(scratch);
        }
    }

    /// <summary>The initial user namespace maps all users onto themselves, in one line: 0 0 4294967295 (user_namespaces(7)).</summary>
    internal static bool RunsInUserNamespace(string uidMap) =>
        uidMap.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is not ["0", "0", "4294967295"];
}
