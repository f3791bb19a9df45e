using Microsoft.Extensions.Logging;

namespace Starlight.Presentation.Proxy;

internal static partial class ProxyLog
{
    [LoggerMessage(1, LogLevel.Information, "starlight-proxy {Version} listens on {Address}, data in {DataDirectory}, default registry {Registry}")]
    public static partial void Listening(ILogger logger, string version, string address, string dataDirectory, string registry);

    [LoggerMessage(2, LogLevel.Warning, "{Note}")]
    public static partial void Note(ILogger logger, string note);

    [LoggerMessage(3, LogLevel.Information, "notified {Reference} = {Digest}: {Images} images, {NewLayers} layers read, {NewContents} contents ({NewBytes} bytes) new, in {Milliseconds:F0} ms")]
    public static partial void Notified(ILogger logger, string reference, string digest, int images, int newLayers, long newContents, long newBytes, double milliseconds);

    [LoggerMessage(4, LogLevel.Information, "delta to {To} from {FromCount} images: bundle {Identity}, {Contents} contents, {RawBytes} raw bytes, planned in {Milliseconds:F1} ms")]
    public static partial void Delta(ILogger logger, string to, int fromCount, string identity, int contents, long rawBytes, double milliseconds);

    [LoggerMessage(5, LogLevel.Warning, "answer of bundle {Identity} cut off: {Reason}")]
    public static partial void DeltaAborted(ILogger logger, string identity, string reason);

    [LoggerMessage(6, LogLevel.Error, "{Method} {Path} failed")]
    public static partial void Unhandled(ILogger logger, string method, string path, Exception exception);

    [LoggerMessage(7, LogLevel.Warning, "answers are sent with {InUse}, because congestion control {Name} is not to be had here ({Reason}): pulls over long lines begin more slowly")]
    public static partial void NoCongestionControl(ILogger logger, string name, string reason, string inUse);

    [LoggerMessage(14, LogLevel.Information, "answers are sent with congestion control {Name}")]
    public static partial void SendsWith(ILogger logger, string name);

    [LoggerMessage(20, LogLevel.Information, "garbage collected: {Images} images, {Layers} layers, {Indexes} indexes; {Contents} contents ({ContentBytes} bytes); {Bundles} bundles ({BundleBytes} bytes)")]
    public static partial void Collected(ILogger logger, int images, int layers, int indexes, long contents, long contentBytes, int bundles, long bundleBytes);

    [LoggerMessage(21, LogLevel.Warning, "garbage could not be collected, trying again later: {Reason}")]
    public static partial void NotCollected(ILogger logger, string reason);

    [LoggerMessage(22, LogLevel.Information, "deleted {Reference}: {Tags} tags, {Images} images, {Indexes} indexes")]
    public static partial void Deleted(ILogger logger, string reference, int tags, int images, int indexes);

    [LoggerMessage(25, LogLevel.Information, "report of worker {Worker}, account '{Account}': {Stored} traces stored, {Refused} refused")]
    public static partial void Reported(ILogger logger, string account, string worker, int stored, int refused);

    [LoggerMessage(23, LogLevel.Information, "bundle {Identity} prepared: {Image} for workers that have {From}, in {Seconds:F1} s")]
    public static partial void Prepared(ILogger logger, string identity, string image, string from, double seconds);

    [LoggerMessage(24, LogLevel.Warning, "no bundle of {Image} could be prepared, it is built when it is asked for: {Reason}")]
    public static partial void NotPrepared(ILogger logger, string image, string reason);

    [LoggerMessage(26, LogLevel.Error, "a scan job failed in a way that it should not")]
    public static partial void ScanLoopFailed(ILogger logger, Exception exception);

    [LoggerMessage(8, LogLevel.Information, "read {Path} again: its new version is in use")]
    public static partial void FileReloaded(ILogger logger, string path);

    [LoggerMessage(9, LogLevel.Error, "a changed file is of no use, the version before it stays in use: {Reason}")]
    public static partial void FileNotReloaded(ILogger logger, string reason);

    [LoggerMessage(10, LogLevel.Warning, "the certificate {Path} ends on {Expires:u}: renew it")]
    public static partial void CertificateExpires(ILogger logger, string path, DateTimeOffset expires);

    [LoggerMessage(EventId = 11, Message = "{Method} {Path} answered {Status} in {Milliseconds:F1} ms to {Account} at {Address}, worker {Worker}, request {Request}")]
    public static partial void Served(ILogger logger, LogLevel level, string method, string path, int status, double milliseconds, string account, string address, string worker, string request);

    [LoggerMessage(12, LogLevel.Information, "stopping: running answers have {Seconds:F0} s to finish; another signal ends them at once")]
    public static partial void Stopping(ILogger logger, double seconds);

    [LoggerMessage(13, LogLevel.Warning, "a second signal came: running answers were cut off, and clients will resume them")]
    public static partial void Insisted(ILogger logger);
}
