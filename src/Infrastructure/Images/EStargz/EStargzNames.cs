using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>Entries that belong to the eStargz format and not to the image (stargz-snapshotter docs/estargz.md).</summary>
internal static class EStargzNames
{
    /// <summary>The TOC: always the last tar entry.</summary>
    public static readonly PosixPath Toc = PosixPath.FromText("stargz.index.json");

    /// <summary>Stands after the last prioritised file.</summary>
    public static readonly PosixPath PrefetchLandmark = PosixPath.FromText(".prefetch.landmark");

    /// <summary>Says that no file is prioritised.</summary>
    public static readonly PosixPath NoPrefetchLandmark = PosixPath.FromText(".no.prefetch.landmark");

    /// <summary>The only byte of a landmark.</summary>
    public const byte LandmarkByte = 0x0f;

    public static readonly Digest LandmarkDigest = Digest.Of([LandmarkByte]);

    public static bool IsLandmarkName(PosixPath path) => path == PrefetchLandmark || path == NoPrefetchLandmark;

    /// <summary>A landmark by name and content: a user's file of that name has other content.</summary>
    public static bool IsLandmark(LayerEntry entry) => entry.Kind == FileKind.Regular && entry.Size == 1 && IsLandmarkName(entry.Path) && entry.Content == LandmarkDigest;

    /// <summary>
    /// A file in the root that the format reserves the name of. A layer that is converted loses it: it is left over from an eStargz layer that some tool unpacked and packed again,
    /// and runtimes that know the format would hide it anyway.
    /// </summary>
    public static bool IsReserved(TarEntry entry)
    {
        if (entry.Kind != FileKind.Regular)
        {
            return false;
        }

        PosixPath path = entry.Name.Clean();
        return path == Toc || IsLandmarkName(path);
    }
}
