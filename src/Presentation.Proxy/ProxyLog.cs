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

    [LoggerMessage(7, LogLevel.Debug, "congestion control {Name} is not to be had here: {Reason}")]
    public static partial void NoCongestionControl(ILogger logger, string name, string reason);

    [LoggerMessage(20, LogLevel.Information, "garbage collected: {Images} images, {Layers} layers, {Indexes} indexes; {Contents} contents ({ContentBytes} bytes); {Bundles} bundles ({BundleBytes} bytes)")]
    public static partial void Collected(ILogger logger, int images, int layers, int indexes, long contents, long contentBytes, int bundles, long bundleBytes);

    [LoggerMessage(21, LogLevel.Warning, "garbage could not be collected, trying again later: {Reason}")]
    public static partial void NotCollected(ILogger logger, string reason);

    [LoggerMessage(22, LogLevel.Information, "deleted {Reference}: {Tags} tags, {Images} images, {Indexes} indexes")]
    public static partial void Deleted(ILogger logger, string reference, int tags, int images, int indexes);
}
