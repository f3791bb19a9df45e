using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Mounts;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>Tries what this kernel can mount, with an image of our own making, and says it in one line.</summary>
public static class KernelCapabilities
{
    /// <exception cref="FailureException"><c>Mount.NotPermitted</c>; Unsupported <c>Mount.ModeUnsupported</c> where containers cannot start before their content is here.</exception>
    public static MountCapabilities Find(string scratchDirectory)
    {
        Inode probe = new()
        {
            Kind = FileKind.Regular,
            Mode = 0x1A4, // 0644
            Size = MountCapabilities.ProbeContent.Length,
            Content = MountCapabilities.ProbeDigest,
        };
        Inode root = new()
        {
            Kind = FileKind.Directory,
            Mode = 0x1ED, // 0755
            Children = DirectoryEntries.Create([new(PosixPath.FromText(MountCapabilities.ProbeFileName), probe)]),
        };
        MountCapabilities found = MountCapabilities.Probe(scratchDirectory, ErofsWriter.Build(new FileTree(root)));
        if (found.Mode != MountMode.SingleOverlay || !found.Gate)
        {
            throw new FailureException(new Error(
                "Mount.ModeUnsupported",
                $"this kernel cannot mount Starlight images: {string.Join("; ", found.Reasons)}. Needed: overlayfs with data-only layers below an upper directory (Linux 6.16), EROFS (CONFIG_EROFS_FS) and FUSE",
                ErrorKind.Unsupported));
        }

        return found;
    }

    public static string Describe(MountCapabilities capabilities) =>
        $"single overlay with data-only layers, EROFS {(capabilities.FileBackedErofs ? "from files" : "on loop devices")}";
}
