using Microsoft.Extensions.Logging;

namespace Starlight.Infrastructure.Registry;

/// <summary>What the registry adapter logs. Addresses are logged without their query: signed storage links are secrets.</summary>
internal static partial class RegistryLog
{
    [LoggerMessage(1, LogLevel.Information, "registry {Registry}: try {Attempt} of {Limit} in {DelayMs:0} ms: {Reason}")]
    public static partial void Retrying(this ILogger logger, string registry, int attempt, int limit, double delayMs, string reason);

    [LoggerMessage(2, LogLevel.Debug, "registry {Registry}: {Method} {Path} → {Status} in {ElapsedMs:0} ms")]
    public static partial void Answered(this ILogger logger, string registry, string method, string path, int status, double elapsedMs);

    [LoggerMessage(3, LogLevel.Warning, "registry {Registry} is used at {Address} without checking who it is, because it was called insecure")]
    public static partial void InsecureEndpoint(this ILogger logger, string registry, Uri address);

    [LoggerMessage(4, LogLevel.Debug, "registry {Registry}: token for '{Scope}' from {Realm}, valid for {Seconds:0} s")]
    public static partial void TokenObtained(this ILogger logger, string registry, string scope, string realm, double seconds);

    [LoggerMessage(5, LogLevel.Information, "registry {Registry}: blob {Digest} goes on at byte {Offset} of {Size} after: {Reason}")]
    public static partial void BlobResumed(this ILogger logger, string registry, string digest, long offset, long size, string reason);

    [LoggerMessage(6, LogLevel.Information, "registry {Registry}: upload of blob {Digest} starts anew: {Reason}")]
    public static partial void UploadRestarted(this ILogger logger, string registry, string digest, string reason);

    [LoggerMessage(7, LogLevel.Information, "registry {Registry} takes no chunks; blobs go in one request each")]
    public static partial void ChunksUnsupported(this ILogger logger, string registry);

    [LoggerMessage(8, LogLevel.Debug, "registry {Registry}: the abandoned upload session was not cancelled: {Reason}")]
    public static partial void SessionNotCancelled(this ILogger logger, string registry, string reason);

    [LoggerMessage(9, LogLevel.Information, "mirror {Mirror} does not serve {Subject}: {Reason}")]
    public static partial void MirrorSkipped(this ILogger logger, string mirror, string subject, string reason);
}
