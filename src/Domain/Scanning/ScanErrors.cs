using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Scanning;

/// <summary>Why a rule is not understood, or a job ends without success.</summary>
internal static class ScanErrors
{
    public static Error Pattern(string text, string why) => new(
        "Scanner.PatternMalformed", $"'{text}' is not a source pattern: {why}; write [REGISTRY/]REPOSITORY:TAG with * for any characters, e.g. library/*:*", ErrorKind.InvalidInput);

    public static Error Template(string text, string why) => new(
        "Scanner.DestinationMalformed",
        $"'{text}' is not a destination: {why}; write [REGISTRY/]REPOSITORY:TAG with {{registry}}, {{repository}}, {{name}} and {{tag}}, e.g. {{repository}}:{{tag}}-starlight",
        ErrorKind.InvalidInput);

    public static Error Abandoned(int attempts) => new(
        "Scanner.Abandoned", $"the proxy ended {attempts} times while it worked on this: see its log and the system's (out of memory?)", ErrorKind.Internal);
}
