namespace Starlight.TestKit;

/// <summary>A directory with something mounted on it for as long as this lives.</summary>
public sealed class Mounted : IDisposable
{
    private readonly int _mounts;

    private Mounted(string target, int mounts) => (Target, _mounts) = (target, mounts);

    public string Target { get; }

    /// <summary>Mounts all, one over the other, as containerd's mount.All does. The target is created if need be.</summary>
    public static Mounted On(string target, params IReadOnlyList<(string Type, string Source, IReadOnlyList<string> Options)> mounts)
    {
        Directory.CreateDirectory(target);
        foreach ((string type, string source, IReadOnlyList<string> options) in mounts)
        {
            // Options longer than a page: shorten the lower directories by starting in the one above them, as containerd does (mount_linux.go, compactLowerdirOption).
            IReadOnlyList<string> fitting = options;
            string? start = null;
            if (type == "overlay" && options.Sum(option => option.Length + 1) > 3500 && options.Single(option => option.StartsWith("lowerdir=", StringComparison.Ordinal)) is var lower)
            {
                start = Path.GetDirectoryName(Path.GetDirectoryName(lower["lowerdir=".Length..].Split(':')[0]))!;
                fitting = [.. options.Select(option => option == lower ? option.Replace(start + "/", "", StringComparison.Ordinal) : option)];
            }

            string[] arguments = ["-o", string.Join(',', fitting), source, target];
            Tool.Run("mount", type == "bind" ? arguments : ["-t", type, .. arguments], start);
        }

        return new Mounted(target, mounts.Count);
    }

    public void Dispose()
    {
        for (int i = 0; i < _mounts; i++)
        {
            Tool.Run("umount", [Target]);
        }
    }
}
