using Microsoft.Extensions.Logging;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Fuse.Native;

namespace Starlight.Infrastructure.Fuse;

/// <summary>Everything the gate logs.</summary>
internal static partial class ArrivalGateLog
{
    [LoggerMessage(1, LogLevel.Information, "arrival gate mounted at {MountPoint} (FUSE 7.{Minor})")]
    public static partial void Mounted(this ILogger logger, string mountPoint, uint minor);

    [LoggerMessage(2, LogLevel.Warning, "detached the gate that an earlier daemon left at {MountPoint}")]
    public static partial void DetachedStaleMount(this ILogger logger, string mountPoint);

    [LoggerMessage(3, LogLevel.Error, "gate request {Opcode} on node {NodeId:x} failed and was answered EIO")]
    public static partial void RequestFailed(this ILogger logger, FuseOpcode opcode, ulong nodeId, Exception exception);

    [LoggerMessage(4, LogLevel.Warning, "an open of {Content} in {Directory} fails with EIO: {Reason}")]
    public static partial void ContentUnavailable(this ILogger logger, Digest content, string directory, string reason);

    [LoggerMessage(5, LogLevel.Error, "the gate's lookup hook for {Directory} failed")]
    public static partial void HookFailed(this ILogger logger, string directory, Exception exception);

    [LoggerMessage(6, LogLevel.Error, "the gate at {MountPoint} stopped reading requests: {Reason}")]
    public static partial void ReaderStopped(this ILogger logger, string mountPoint, string reason);

    [LoggerMessage(7, LogLevel.Warning, "a reply of the gate was refused by the kernel: {Reason}")]
    public static partial void ReplyRefused(this ILogger logger, string reason);
}
