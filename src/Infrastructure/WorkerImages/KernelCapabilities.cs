using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Mounts;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>Tries what this kernel can mount, with an image of our own making.</summary>
public static class KernelCapabilities
{
    /// <exception cref="FailureException">As <see cref="MountCapabilities.Probe"/>.</exception>
    public static MountCapabilities Find(string scratchDirectory, MountPreferences preferences)
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
        return MountCapabilities.Probe(scratchDirectory, ErofsWriter.Build(new FileTree(root)), preferences);
    }
}
