using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Convert;

/// <summary>Why an image is not converted.</summary>
internal static class ConvertErrors
{
    public static Error NoSuchPlatform(string source, PlatformSelection wanted, IEnumerable<Platform> available) => new(
        "Convert.NoSuchPlatform", $"{source} has {string.Join(", ", available.Distinct())}, not {wanted}", ErrorKind.NotFound);

    public static Error NotAnImage(string source, string what) => new(
        "Convert.NotAnImage", $"{source} is not a container image: {what}", ErrorKind.InvalidInput);

    public static Error Schema1(string source) => new(
        "Convert.Schema1", $"{source} is a Docker schema 1 image, which registries and runtimes have dropped; pull and push it again with a current Docker first", ErrorKind.Unsupported);

    public static Error Encrypted(Digest layer) => new(
        "Convert.Encrypted", $"layer {layer} is encrypted and cannot be read; convert the image before encrypting it", ErrorKind.Unsupported);

    public static Error Foreign(Digest layer) => new(
        "Convert.ForeignLayer", $"layer {layer} is non-distributable: it must not be copied to another registry", ErrorKind.Unsupported);

    public static Error OrderUnknown(string source, ImageReference destination) => new(
        "Convert.OrderUnknown",
        $"the proxy knows no order for {source}, nor for {destination} or another version of it: have it index one with notify, trace it with optimizer on and report, or convert without --optimize-from",
        ErrorKind.NotFound);

    public static Error OrderUnknown(string source, ImageReference destination, Platform platform, IEnumerable<Platform> known) => new(
        "Convert.OrderUnknown",
        $"the proxy knows orders of {source} or {destination} for {string.Join(", ", known.Select(p => p.ToString()).Order(StringComparer.Ordinal))}, not for {platform}: have it index that platform, or choose others with --platform",
        ErrorKind.NotFound);

    public static Error TooDeep(string source) => new(
        "Convert.TooDeep", $"{source} nests image indexes more than {ImageConversion.MaxDepth} deep", ErrorKind.Unsupported);

    public static Error Mismatch(string source, string what) => new("Convert.Mismatch", $"{source} contradicts itself: {what}", ErrorKind.DataCorrupt);

    public static Error TooLarge(Digest document, long size) => new(
        "Convert.DocumentTooLarge", $"configuration {document} has {size} bytes, more than {ImageConversion.MaxConfigSize}", ErrorKind.ResourceExhausted);
}
