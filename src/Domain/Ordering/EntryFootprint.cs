using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>What one entry of a layer changes when it is unpacked: two entries none of whose paths is the other's, or above it, can be unpacked in either order.</summary>
/// <param name="IsDirectory">A directory entry: it may find the directory made already and then only sets its attributes.</param>
/// <param name="Paths">Without those above, which every entry needs.</param>
internal readonly record struct EntryFootprint(bool IsDirectory, IReadOnlyList<PosixPath> Paths);

/// <summary>Tells the footprints of a layer's entries. Asked for each entry in tar order.</summary>
internal sealed class EntryFootprints
{
    private const string WhiteoutPrefix = ".wh.";
    private const string OpaqueMarker = ".wh..wh..opq";

    /// <summary>The first name of each file with several: links to one file all change it.</summary>
    private readonly Dictionary<PosixPath, PosixPath> _firstNames = [];

    public static bool IsWhiteout(PosixPath path) => path.Name.Raw.StartsWith(WhiteoutPrefix, StringComparison.Ordinal);

    public EntryFootprint Next(LayerEntry entry)
    {
        if (entry.Kind == FileKind.HardLink)
        {
            PosixPath first = _firstNames.GetValueOrDefault(entry.LinkTarget, entry.LinkTarget);
            _firstNames[entry.Path] = first;
            return new EntryFootprint(IsDirectory: false, [.. new[] { entry.Path, entry.LinkTarget, first }.Distinct()]);
        }

        if (!IsWhiteout(entry.Path))
        {
            return new EntryFootprint(entry.Kind == FileKind.Directory, [entry.Path]);
        }

        PosixPath parent = entry.Path.Parent;
        string name = entry.Path.Name.Raw;
        return new EntryFootprint(IsDirectory: false, [name == OpaqueMarker ? parent : parent.Append(PosixPath.FromRaw(name[WhiteoutPrefix.Length..]))]);
    }
}
