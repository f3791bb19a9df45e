using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Trees;

/// <summary>What can be wrong with the entries of a layer. containerd refuses to unpack every one of these.</summary>
public static class TreeErrors
{
    public static Error HardLinkTargetMissing(PosixPath path, PosixPath target) => Corrupt(
        "Layer.HardLinkTargetMissing", $"hard link '{path}' names '{target}', which neither its layer nor a lower one has: rebuild the image");

    public static Error HardLinkToDirectory(PosixPath path, PosixPath target) => Corrupt(
        "Layer.HardLinkToDirectory", $"hard link '{path}' names the directory '{target}': rebuild the image");

    public static Error ParentNotDirectory(PosixPath path) => Corrupt(
        "Layer.ParentNotDirectory", $"entry '{path}' lies below something that is not a directory in its layer: rebuild the image");

    public static Error TooManySymlinks(PosixPath path) => Corrupt(
        "Layer.TooManySymlinks", $"the parent of entry '{path}' goes through more than {LayerPaths.MaxSymlinks} symlinks: rebuild the image");

    public static Error PathTooLong(PosixPath path) => Corrupt(
        "Layer.PathTooLong", $"an entry's path has {path.Length} bytes, more than the {LayerPaths.MaxLength} Linux can name: rebuild the image");

    public static Error TooManyDirectories(PosixPath path) => Corrupt(
        "Layer.TooManyDirectories", $"with entry '{path}' the layer has more than {LayerTree.MaxImplied} directories without an entry of their own: rebuild the image");

    public static Error TooManyNames() => new("Layer.TooManyNames", "the names of one directory have more than 2 GiB", ErrorKind.ResourceExhausted);

    public static Error WhiteoutInvalid(PosixPath path) => Corrupt(
        "Layer.WhiteoutInvalid", $"whiteout '{path}' does not name a file of its directory: rebuild the image");

    private static Error Corrupt(string code, string message) => new(code, message, ErrorKind.DataCorrupt);
}
