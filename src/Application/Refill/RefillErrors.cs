using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Refill;

internal static class RefillErrors
{
    public const string Missing = "Bundle.ContentMissing";

    public static Error Gone(Error registry) => new(
        "Bundle.ContentMissing", $"the proxy does not hold all contents any more and the registry has deleted them: {registry.Message}", ErrorKind.Unavailable);

    public static Error ContentMissing(Digest content) => new(
        "Bundle.ContentMissing", $"the proxy does not hold {content} any more and does not know where to read it again: run ctr-starlight notify for the image", ErrorKind.Unavailable);
}
