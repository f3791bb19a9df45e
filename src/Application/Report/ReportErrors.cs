using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Report;

internal static class ReportErrors
{
    public static Error ImageUnknown(Digest image) => new("Trace.ImageUnknown", $"the image {image} is not known to the proxy, or not any more", ErrorKind.NotFound);

    public static Error ContentUnknown(Digest image, Digest content) => new("Trace.ContentUnknown", $"it names {content}, which the image {image} does not have", ErrorKind.InvalidInput);
}
