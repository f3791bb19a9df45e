using System.Globalization;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// The one table between <see cref="ErrorKind"/> and gRPC status. Each kind has a status of its own, so a kind survives the way over the wire and back. Statuses that none
/// of our errors uses but peers do (containerd answers UNKNOWN for whatever it has not classified) map to the nearest kind.
/// </summary>
public static class GrpcStatusMap
{
    public static GrpcStatusCode ToStatus(ErrorKind kind) => kind switch
    {
        ErrorKind.Cancelled => GrpcStatusCode.Cancelled,
        ErrorKind.InvalidInput => GrpcStatusCode.InvalidArgument,
        ErrorKind.NotFound => GrpcStatusCode.NotFound,
        ErrorKind.AlreadyExists => GrpcStatusCode.AlreadyExists,
        ErrorKind.PermissionDenied => GrpcStatusCode.PermissionDenied,
        ErrorKind.ResourceExhausted => GrpcStatusCode.ResourceExhausted,
        ErrorKind.FailedPrecondition => GrpcStatusCode.FailedPrecondition,
        ErrorKind.Unsupported => GrpcStatusCode.Unimplemented,
        ErrorKind.Internal => GrpcStatusCode.Internal,
        ErrorKind.Unavailable => GrpcStatusCode.Unavailable,
        ErrorKind.DataCorrupt => GrpcStatusCode.DataLoss,
        ErrorKind.Unauthenticated => GrpcStatusCode.Unauthenticated,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "every error kind needs a row in the gRPC status table"),
    };

    /// <summary>Numbers outside the table (a newer peer) count as Internal. <see cref="GrpcStatusCode.Ok"/> is no error and is refused.</summary>
    public static ErrorKind ToKind(GrpcStatusCode status) => status switch
    {
        GrpcStatusCode.Ok => throw new ArgumentOutOfRangeException(nameof(status), status, "OK is not an error"),
        GrpcStatusCode.Cancelled or GrpcStatusCode.DeadlineExceeded => ErrorKind.Cancelled,
        GrpcStatusCode.InvalidArgument or GrpcStatusCode.OutOfRange => ErrorKind.InvalidInput,
        GrpcStatusCode.NotFound => ErrorKind.NotFound,
        GrpcStatusCode.AlreadyExists => ErrorKind.AlreadyExists,
        GrpcStatusCode.PermissionDenied => ErrorKind.PermissionDenied,
        GrpcStatusCode.ResourceExhausted => ErrorKind.ResourceExhausted,
        GrpcStatusCode.FailedPrecondition => ErrorKind.FailedPrecondition,
        GrpcStatusCode.Unimplemented => ErrorKind.Unsupported,
        GrpcStatusCode.Unavailable or GrpcStatusCode.Aborted => ErrorKind.Unavailable,
        GrpcStatusCode.DataLoss => ErrorKind.DataCorrupt,
        GrpcStatusCode.Unauthenticated => ErrorKind.Unauthenticated,
        _ => ErrorKind.Internal,
    };

    /// <summary>What a call that ended with <paramref name="status"/> fails with on the client.</summary>
    /// <param name="status">Not <see cref="GrpcStatusCode.Ok"/>.</param>
    /// <param name="message">The peer's message; empty if it sent none.</param>
    /// <param name="code">Value of the <c>starlight-error-code</c> trailer; null from peers that are not ours.</param>
    public static Error ToError(GrpcStatusCode status, string message, string? code) => new(
        string.IsNullOrEmpty(code) ? "Grpc." + Name(status) : code,
        message.Length > 0 ? message : $"the peer answered with gRPC status {Name(status)} and no message",
        ToKind(status));

    /// <summary>
    /// What an answer without gRPC status stands for, by its HTTP status (gRPC core, doc/http-grpc-status-mapping.md): something other than a gRPC server answered.
    /// </summary>
    public static GrpcStatusCode FromHttpStatus(int httpStatus) => httpStatus switch
    {
        400 => GrpcStatusCode.Internal,
        401 => GrpcStatusCode.Unauthenticated,
        403 => GrpcStatusCode.PermissionDenied,
        404 => GrpcStatusCode.Unimplemented,
        429 or 502 or 503 or 504 => GrpcStatusCode.Unavailable,
        _ => GrpcStatusCode.Unknown,
    };

    private static string Name(GrpcStatusCode status) =>
        Enum.IsDefined(status) ? status.ToString() : ((int)status).ToString(CultureInfo.InvariantCulture);
}
