using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.Mounts;

/// <summary>Overlays that the daemon itself mounts.</summary>
internal static class OverlayMounts
{
    /// <summary>Undo with <see cref="ErofsMounts.Unmount"/>.</summary>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException"><c>Mount.Failed</c>, <c>Mount.NotPermitted</c>.</exception>
    public static void Mount(MountRecord record, string target)
    {
        string[] options = [.. record.Options.Where(option => option != "ro")];
        bool readOnly = options.Length != record.Options.Count;
        MountSyscalls.Mount(record.Source, target, record.Type, readOnly ? MountSyscalls.MS_RDONLY : 0, string.Join(',', options));
    }
}
