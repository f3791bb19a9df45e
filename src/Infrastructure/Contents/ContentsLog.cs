using Microsoft.Extensions.Logging;

namespace Starlight.Infrastructure.Contents;

internal static partial class ContentsLog
{
    [LoggerMessage(1, LogLevel.Information, "bundle {Identity} built: {Bytes} bytes")]
    public static partial void BundleBuilt(ILogger logger, string identity, long bytes);

    [LoggerMessage(2, LogLevel.Error, "bundle {Identity} could not be built: {Reason}")]
    public static partial void BundleFailed(ILogger logger, string identity, string reason, Exception? exception);

    [LoggerMessage(3, LogLevel.Information, "bundle {Identity} ({Bytes} bytes) evicted from the cache")]
    public static partial void BundleEvicted(ILogger logger, string identity, long bytes);

    [LoggerMessage(4, LogLevel.Information, "content store: {Contents} contents in {Bytes} bytes, limit {Limit}; evicted {Evicted} ({EvictedBytes} bytes)")]
    public static partial void Settled(ILogger logger, long contents, long bytes, long limit, long evicted, long evictedBytes);

    [LoggerMessage(5, LogLevel.Error, "the content store could not be read to its end: its limit does not hold for what was not seen: {Reason}")]
    public static partial void NotSettled(ILogger logger, string reason);
}
