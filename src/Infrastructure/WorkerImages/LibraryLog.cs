using Microsoft.Extensions.Logging;

namespace Starlight.Infrastructure.WorkerImages;

internal static partial class LibraryLog
{
    [LoggerMessage(Level = LogLevel.Information, Message = "receiving {Images}: {Contents} contents, {Bytes} bytes before compression")]
    public static partial void ReceptionStarted(ILogger logger, string images, int contents, long bytes);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Images} complete: {Bytes} bytes received")]
    public static partial void ReceptionDone(ILogger logger, string images, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "receiving {Images} was interrupted ({Reason}); trying again in {PauseMs} ms")]
    public static partial void ReceptionInterrupted(ILogger logger, string images, string reason, long pauseMs);

    [LoggerMessage(Level = LogLevel.Error, Message = "receiving {Images} failed for good: {Reason}")]
    public static partial void ReceptionFailed(ILogger logger, string images, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "receiving {Images} failed")]
    public static partial void ReceptionCrashed(ILogger logger, Exception exception, string images);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Trees} images on this worker, {Incomplete} of them incomplete")]
    public static partial void Loaded(ILogger logger, int trees, int incomplete);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the filesystem image of {ChainId} is missing or damaged; the image is forgotten and has to be pulled again: {Reason}")]
    public static partial void TreeLost(ILogger logger, string chainId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "which contents {ChainId} has cannot be told, so none that it may share are removed: {Reason}")]
    public static partial void TreeUnreadable(ILogger logger, string chainId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Image} cannot be completed now ({Reason}); trying again in {PauseMs} ms")]
    public static partial void ResumeFailed(ILogger logger, string image, string reason, long pauseMs);

    [LoggerMessage(Level = LogLevel.Information, Message = "image {ChainId} removed: {Objects} contents, {Bytes} bytes freed")]
    public static partial void TreeRemoved(ILogger logger, string chainId, int objects, long bytes);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Objects} contents that no image needs were removed")]
    public static partial void Swept(ILogger logger, int objects);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{What} could not be removed: {Reason}")]
    public static partial void RemovalFailed(ILogger logger, string what, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "snapshot {Key} is traced through the gate, which costs its opens time, or not at all: {Reason}")]
    public static partial void NotWatched(ILogger logger, string key, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "directory tree of {ChainId} built in {Ms} ms")]
    public static partial void TreeBuilt(ILogger logger, string chainId, long ms);

    [LoggerMessage(Level = LogLevel.Information, Message = "no directory tree of {ChainId} was built, because the image was removed ({Reason})")]
    public static partial void TreeNotBuilt(ILogger logger, string chainId, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} mounts of an earlier daemon detached; containers that use them keep them")]
    public static partial void LeftoversDetached(ILogger logger, int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{File} cannot be built upon: {Reason}")]
    public static partial void BaseUnusable(ILogger logger, string file, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "fetched {Content} of {Size} bytes before its turn")]
    public static partial void Jumped(ILogger logger, string content, long size);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Content} has to wait for its turn: {Reason}")]
    public static partial void NotJumped(ILogger logger, string content, string reason);
}
