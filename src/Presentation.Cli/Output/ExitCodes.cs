using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Cli.Output;

/// <summary>
/// Exit code per kind of failure (docs/architecture.md, "Errors"). Scripts can tell "you asked for something wrong" (2) from "try again later" (4). Never 0 on failure;
/// 1 is left to the command-line parser.
/// </summary>
internal static class ExitCodes
{
    /// <summary>128 + SIGINT, as shells report it.</summary>
    public const int Interrupted = 130;

    public static int Of(ErrorKind kind) => kind switch
    {
        ErrorKind.InvalidInput => 2,
        ErrorKind.NotFound => 3,
        ErrorKind.Unavailable => 4,
        ErrorKind.Unauthenticated => 5,
        ErrorKind.PermissionDenied => 5,
        ErrorKind.DataCorrupt => 6,
        ErrorKind.AlreadyExists => 7,
        ErrorKind.FailedPrecondition => 7,
        ErrorKind.ResourceExhausted => 8,
        ErrorKind.Unsupported => 9,
        ErrorKind.Cancelled => Interrupted,
        ErrorKind.Internal => 70, // sysexits.h EX_SOFTWARE
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "no exit code is assigned to this kind of error"),
    };
}
