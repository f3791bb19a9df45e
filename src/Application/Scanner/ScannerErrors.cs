using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Scanner;

internal static class ScannerErrors
{
    public static Error RegistryUnknown(string registry) => new(
        "Scanner.RegistryUnknown",
        $"{registry} is none of the scanner's registries: name it in 'registries' of 'scanner', or in 'default_registry_alias' if it is another name of the default registry",
        ErrorKind.PermissionDenied);

    public static Error NoRule(ImageReference reference, bool isDestination) => new(
        "Scanner.NoRule",
        isDestination ? $"{reference} is where a rule puts converted images" : $"no rule is for {reference}",
        ErrorKind.NotFound);

    public static Error Unforeseen(string message) => new("Scanner.Unforeseen", $"an unforeseen fault, see the proxy's log: {message}", ErrorKind.Internal);
}
