using Microsoft.Extensions.Logging;

namespace Starlight.Application.Snapshots;

internal static partial class SnapshotLog
{
    [LoggerMessage(1, LogLevel.Information, "layer {ChainId} is provided by Starlight: committed without an unpack")]
    public static partial void Provided(this ILogger logger, string chainId);

    [LoggerMessage(2, LogLevel.Warning, "cannot tell whether layer {ChainId} can be provided; containerd unpacks it the ordinary way")]
    public static partial void ProvideFailed(this ILogger logger, string chainId, Exception exception);

    [LoggerMessage(3, LogLevel.Warning, "snapshot {Key} was removed, but its directory is left for the next cleanup")]
    public static partial void DeleteFailed(this ILogger logger, string key, Exception exception);

    [LoggerMessage(4, LogLevel.Warning, "layer {ChainId} was removed, but what only its image needs is not freed yet")]
    public static partial void ReleaseFailed(this ILogger logger, string chainId, Exception exception);

    [LoggerMessage(5, LogLevel.Information, "cleaned up {Count} leftover snapshot directories")]
    public static partial void CleanedUp(this ILogger logger, int count);

    [LoggerMessage(6, LogLevel.Warning, "leftover snapshot directory {Directory} cannot be deleted now; the next cleanup tries again")]
    public static partial void CleanupFailed(this ILogger logger, string directory, Exception exception);
}
