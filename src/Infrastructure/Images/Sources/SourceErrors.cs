using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>Every way in which a layout or archive on disk can fail us.</summary>
internal static class SourceErrors
{
    public static Error NotFound(string path) => new("Source.NotFound", $"there is no '{path}': check the path", ErrorKind.NotFound);

    public static Error Malformed(string source, string why) => new("Source.Malformed", $"{source} cannot be read: {why}", ErrorKind.DataCorrupt);

    public static Error NotAnImage(string source) => new(
        "Source.NotAnImage", $"{source} is neither an OCI layout (it has no index.json) nor a docker archive (it has no manifest.json)", ErrorKind.InvalidInput);

    public static Error BlobUnknown(string source, Digest digest) => new("Source.BlobUnknown", $"{source} has no blob {digest}: it is incomplete, write it anew", ErrorKind.NotFound);

    public static Error BlobMismatch(string source, Digest digest, string detail) =>
        new("Source.BlobMismatch", $"{source} has a damaged blob {digest}: {detail}; write it anew", ErrorKind.DataCorrupt);

    public static Error TagUnknown(string source, string tag, IReadOnlyList<string> names) => new(
        "Source.TagUnknown", $"{source} has no image '{tag}': it has {Listing(names)}", ErrorKind.NotFound);

    public static Error TagNeeded(string source, IReadOnlyList<string> names) => new(
        "Source.TagNeeded", $"{source} has several images: say which by adding ':' and one of {Listing(names)}", ErrorKind.InvalidInput);

    public static Error Empty(string source) => new("Source.Empty", $"{source} has no image", ErrorKind.NotFound);

    /// <summary>What the operating system's refusal to open or read means.</summary>
    public static FailureException FromIO(string source, Exception exception) => new(
        exception switch
        {
            FileNotFoundException or DirectoryNotFoundException => NotFound(source),
            UnauthorizedAccessException => new Error("Source.PermissionDenied", $"{source} cannot be opened: {exception.Message}", ErrorKind.PermissionDenied),
            _ => new Error("Source.Unreadable", $"{source} cannot be read: {exception.Message}", ErrorKind.Unavailable),
        },
        exception);

    /// <summary>The first few names; a layout may have thousands.</summary>
    private static string Listing(IReadOnlyList<string> names) =>
        names.Count == 0 ? "none with a name" : string.Join(", ", names.Take(8).Select(n => $"'{n}'")) + (names.Count > 8 ? $" and {names.Count - 8} more" : "");
}
