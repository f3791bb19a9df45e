using Microsoft.Extensions.Logging;

namespace Starlight.Infrastructure.Grpc;

/// <summary>Everything the gRPC server logs.</summary>
internal static partial class GrpcLog
{
    [LoggerMessage(1, LogLevel.Warning, "gRPC {Path}: the request breaks the protocol: {Problem}")]
    public static partial void BrokenRequest(ILogger logger, string path, string problem);

    [LoggerMessage(2, LogLevel.Debug, "gRPC {Path}: the caller went away")]
    public static partial void CallerGone(ILogger logger, string path);

    [LoggerMessage(3, LogLevel.Error, "gRPC {Path}: unforeseen failure")]
    public static partial void Unforeseen(ILogger logger, string path, Exception exception);

    [LoggerMessage(4, LogLevel.Debug, "gRPC {Path}: no such service or method")]
    public static partial void Unimplemented(ILogger logger, string path);
}
