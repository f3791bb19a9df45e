using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Refill;

internal static class RefillErrors
{
    public static Error ContentMissing(Digest content) => new(
        "Bundle.ContentMissing", $"the proxy does not hold {content} any more and does not know where to read it again: run ctr-starlight notify for the image", ErrorKind.Unavailable);
}
