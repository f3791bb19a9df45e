using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>From tar entries to layer entries.</summary>
internal static class LayerEntryFactory
{
    /// <summary>Linux PATH_MAX without its NUL: nothing longer can be unpacked by path.</summary>
    public const int MaxPathLength = 4095;

    /// <param name="entry">As the tar has it.</param>
    /// <param name="content">sha256 of a regular file's content; default for other kinds.</param>
    public static LayerEntry From(TarEntry entry, Digest content)
    {
        if (entry.Name.Length > MaxPathLength || entry.LinkName.Length > MaxPathLength)
        {
            throw LayerFailures.Malformed($"it has a path of more than {MaxPathLength} bytes");
        }

        PosixPath path = entry.Name.Clean();
        if (path.IsEmpty && entry.Kind != FileKind.Directory)
        {
            throw LayerFailures.Malformed($"an entry that is not a directory has the name '{entry.Name.Display}', which is the root");
        }

        return new LayerEntry
        {
            Path = path,
            Kind = entry.Kind,
            Mode = (ushort)(entry.Mode & 0xfff),
            Uid = entry.Uid,
            Gid = entry.Gid,
            MtimeSeconds = entry.MtimeSeconds,
            MtimeNanoseconds = entry.MtimeNanoseconds,
            Size = entry.Size,
            Content = content,
            LinkTarget = entry.Kind switch
            {
                FileKind.Symlink => entry.LinkName,
                FileKind.HardLink => entry.LinkName.Clean(),
                _ => PosixPath.Root,
            },
            DeviceMajor = entry.DeviceMajor,
            DeviceMinor = entry.DeviceMinor,
            Xattrs = entry.Xattrs,
        };
    }
}
