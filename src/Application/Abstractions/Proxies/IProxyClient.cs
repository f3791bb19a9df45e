using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Proxies;

/// <summary>What a proxy answered to a ping.</summary>
/// <param name="Version">The proxy's version.</param>
/// <param name="Latency">One request and its answer on an open connection.</param>
public sealed record ProxyPing(string Version, TimeSpan Latency);

/// <summary>What a proxy indexed.</summary>
public sealed record NotifyReport(string Reference, string Digest, IReadOnlyList<NotifiedPlatform> Platforms, TimeSpan Elapsed);

/// <summary>One platform of <see cref="NotifyReport"/>.</summary>
public sealed record NotifiedPlatform(string Platform, string ManifestDigest, string FilesystemDigest, int Layers, int NewLayers, int Files, int Contents, long Bytes);

/// <summary>An image that the worker has completely and the proxy may build upon.</summary>
public sealed record BaseImage(ImageReference Reference, Digest ManifestDigest);

/// <summary>The one request of a pull.</summary>
/// <param name="Images">Images wanted, in one bundle.</param>
/// <param name="Platform">Platform of all of them.</param>
/// <param name="Bases">Images whose contents need not be sent.</param>
/// <param name="Layers">Only the tree that so many of the lowest layers of the one image give; null for the images as they are.</param>
public sealed record DeltaRequest(IReadOnlyList<ImageReference> Images, Platform Platform, IReadOnlyList<BaseImage> Bases, int? Layers = null)
{
    /// <summary>Fail with Unavailable if the proxy has not begun to answer by then; null for the client's own patience. For callers who have another way to get the image.</summary>
    public TimeSpan? AnswerWithin { get; init; }
}

/// <summary>
/// A bundle whose metadata has arrived and whose contents are still on their way. Whoever gets one reads it to its end or disposes it.
/// </summary>
public interface IIncomingBundle : IAsyncDisposable
{
    /// <summary>The images in the order they were asked for.</summary>
    IReadOnlyList<BundleImage> Images { get; }

    /// <summary>What each image needs, in the canonical order of its filesystem image; parallel to <see cref="Images"/>.</summary>
    IReadOnlyList<IReadOnlyList<ContentRef>> ImageContents { get; }

    /// <summary>Contents on their way, in the order of arrival, each once.</summary>
    IReadOnlyList<ContentRef> Contents { get; }

    /// <summary>Bytes of the answer's body received so far, metadata included.</summary>
    long ReceivedBytes { get; }

    /// <summary>Length of the whole body in bytes if the proxy knows it already, else 0.</summary>
    long TotalBytes { get; }
}

/// <summary>The order of an image's contents at a proxy.</summary>
/// <param name="Basis"><c>traces</c>, <c>inherited</c> or <c>predicted</c>.</param>
/// <param name="Hot">The first so many are expected to be opened during start-up.</param>
/// <param name="Count">All contents.</param>
public sealed record SentOrder(
    string Platform, string Digest, string Basis, int Traces, string? InheritedFrom, int Hot, long HotBytes, int Count, IReadOnlyList<string> Groups, IReadOnlyList<SentContent> Contents);

/// <param name="Rank">Average position in traces; null if none opened it.</param>
/// <param name="At">Microseconds from the container's start to its opening, on average.</param>
/// <param name="Traces">How many traces opened it.</param>
public sealed record SentContent(string Digest, long Size, double? Rank, long? At, int Traces, IReadOnlyList<string> Paths);

/// <summary>Requests to Starlight proxies over connections that are kept open. Failures are FailureExceptions that name the proxy.</summary>
public interface IProxyClient
{
    Task<ProxyPing> PingAsync(ProxyProfile proxy, CancellationToken cancellationToken);

    Task<NotifyReport> NotifyAsync(ProxyProfile proxy, ImageReference reference, IReadOnlyList<Platform> platforms, bool insecure, IProgress<string>? progress, CancellationToken cancellationToken);

    /// <summary>Sends the request and returns when all metadata is here and checked against its digests.</summary>
    Task<IIncomingBundle> RequestDeltaAsync(ProxyProfile proxy, DeltaRequest request, CancellationToken cancellationToken);

    /// <summary>Sends traces. Repeating it does no harm: a trace counts once.</summary>
    /// <returns>For each trace null if the proxy has stored it, or why it never will.</returns>
    Task<IReadOnlyList<Error?>> ReportAsync(ProxyProfile proxy, string worker, IReadOnlyList<Trace> traces, CancellationToken cancellationToken);

    /// <summary>In which order the proxy sends an image's contents.</summary>
    /// <param name="proxy">Whom to ask.</param>
    /// <param name="reference">The image.</param>
    /// <param name="platform">Null for all that the proxy knows.</param>
    /// <param name="all">Also contents that are not expected to be opened during start-up.</param>
    /// <param name="anyVersion">If the proxy does not know the image, of another version in its repository that was traced.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    Task<IReadOnlyList<SentOrder>> GetOrderAsync(ProxyProfile proxy, ImageReference reference, Platform? platform, bool all, bool anyVersion, CancellationToken cancellationToken);
}
