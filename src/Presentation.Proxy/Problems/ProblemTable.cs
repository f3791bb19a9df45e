using Microsoft.AspNetCore.Http;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Problems;

/// <summary>The one place where an error kind becomes an HTTP status (RFC 9110 section 15, RFC 4918 for 507).</summary>
internal static class ProblemTable
{
    /// <summary>nginx's "client closed request": nobody reads it, logs do.</summary>
    public const int ClientClosedRequest = 499;

    public static int StatusOf(ErrorKind kind) => kind switch
    {
        ErrorKind.InvalidInput => StatusCodes.Status400BadRequest,
        ErrorKind.Unauthenticated => StatusCodes.Status401Unauthorized,
        ErrorKind.PermissionDenied => StatusCodes.Status403Forbidden,
        ErrorKind.NotFound => StatusCodes.Status404NotFound,
        ErrorKind.AlreadyExists => StatusCodes.Status409Conflict,
        ErrorKind.FailedPrecondition => StatusCodes.Status409Conflict,
        ErrorKind.Cancelled => ClientClosedRequest,
        ErrorKind.Internal => StatusCodes.Status500InternalServerError,
        ErrorKind.Unsupported => StatusCodes.Status501NotImplemented,

        // What is damaged came from the registry or our disk, not from the client.
        ErrorKind.DataCorrupt => StatusCodes.Status502BadGateway,
        ErrorKind.Unavailable => StatusCodes.Status503ServiceUnavailable,
        ErrorKind.ResourceExhausted => StatusCodes.Status507InsufficientStorage,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "no HTTP status is assigned to this kind"),
    };
}
