using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.Mounts;

/// <summary>What can go wrong with mounts.</summary>
internal static class MountErrors
{
    public static Error MountFailed(string type, string source, string target, string options, int errno) => errno == Errno.EPERM
        ? NotPrivileged(errno)
        : new Error(
            "Mount.Failed",
            $"mounting {type} of {source} at {target} with '{options}' failed: {Errno.Describe(errno)}; the kernel log (dmesg) has the reason",
            errno == Errno.ENODEV ? ErrorKind.Unsupported : ErrorKind.Internal);

    public static Error UnmountFailed(string target, int errno) => new(
        "Mount.UnmountFailed", $"unmounting {target} failed: {Errno.Describe(errno)}", ErrorKind.Internal);

    public static Error NotPrivileged(int errno) => new(
        "Mount.NotPermitted", $"mounting needs CAP_SYS_ADMIN: run the daemon as root ({Errno.Describe(errno)})", ErrorKind.PermissionDenied);

    public static Error PathUnusable(string path) => new(
        "Mount.PathUnusable",
        $"'{path}' cannot be an overlay layer: it must be absolute, without ',', ':', '\\' and control characters; choose another state directory",
        ErrorKind.InvalidInput);

    public static Error OptionsTooLong(int bytes) => new(
        "Mount.OptionsTooLong",
        $"the overlay options have {bytes} bytes and the kernel takes {MountSyscalls.MaxOptionBytes}: choose a state directory with a shorter path",
        ErrorKind.ResourceExhausted);

    public static Error LoopFailed(string image, string step, int errno) => new(
        "Mount.LoopFailed", $"attaching {image} to a loop device failed at {step}: {Errno.Describe(errno)}", ErrorKind.Internal);

    public static Error ModeUnsupported(string problem, IEnumerable<MountFinding> findings) => new(
        "Mount.ModeUnsupported", $"{problem}: {string.Join("; ", findings)}", ErrorKind.Unsupported);

    public static Error NoOverlayInTreeMode { get; } = new(
        "Mount.NoDataLayers",
        "this kernel cannot use data-only overlay layers: containers need an unpacked directory tree here",
        ErrorKind.Unsupported);
}
