using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Notify;

internal static class NotifyErrors
{
    public static Error PlatformMissing(string source, IEnumerable<Platform> missing, IEnumerable<string> present) => new(
        "Image.PlatformMissing",
        $"{source} has no image for {string.Join(", ", missing)}; it has {(string.Join(", ", present) is { Length: > 0 } list ? list : "none")}",
        ErrorKind.NotFound);

    public static Error NotAnImage(string source, string why) =>
        new("Image.NotAnImage", $"{source} is not a container image: {why}", ErrorKind.InvalidInput);

    public static Error DiffIdCount(Digest image, int diffIds, int layers) =>
        new("Image.DiffIdMismatch", $"the image {image} has {layers} layers but its configuration names {diffIds}", ErrorKind.DataCorrupt);

    public static Error DiffId(Digest layer, Digest actual, Digest expected) =>
        new("Image.DiffIdMismatch", $"the layer {layer} unpacks to {actual}, but the image's configuration says {expected}", ErrorKind.DataCorrupt);

    public static Error Layer(Digest layer, Error why) => why with { Message = $"layer {layer}: {why.Message}" };

    public static Error FilesystemDigest(Digest image, string annotation, Digest actual) =>
        new("Image.FilesystemDigestMismatch", $"the image {image} was converted to the filesystem {annotation}, but its layers give {actual}: convert it again", ErrorKind.DataCorrupt);

    public static Error ConfigTooLarge(Digest config, long size, long limit) =>
        new("Image.ConfigTooLarge", $"the image configuration {config} has {size} bytes; the limit is {limit}", ErrorKind.ResourceExhausted);
}
