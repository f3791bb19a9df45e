using System.Reflection;
using Starlight.Infrastructure.Mounts;

namespace Starlight.Presentation.Worker.Daemon;

/// <summary>What the daemon says of itself.</summary>
/// <param name="Version">Release, e.g. <c>0.7.0</c>.</param>
/// <param name="Commit">Source revision, or empty.</param>
/// <param name="Kernel">As <c>uname -r</c> prints it.</param>
/// <param name="Mounts">How root filesystems are mounted here.</param>
internal sealed record DaemonFacts(string Version, string Commit, string Kernel, MountCapabilities Mounts)
{
    public static DaemonFacts Of(MountCapabilities mounts)
    {
        string[] version = (typeof(DaemonFacts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown").Split('+', 2);
        string kernel = File.ReadAllText("/proc/sys/kernel/osrelease").Trim();
        return new DaemonFacts(version[0], version.Length > 1 ? version[1] : "", kernel, mounts);
    }
}
