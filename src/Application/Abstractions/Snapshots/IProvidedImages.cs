using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Snapshots;

/// <summary>What a Prepare with <c>containerd.io/snapshot.ref</c> asks for.</summary>
/// <param name="ChainId">The name the layer's snapshot is to be committed under (value of the label).</param>
/// <param name="ParentChainId">The parent snapshot's name, or null for the lowest layer.</param>
/// <param name="Labels">All labels of the request, among them the CRI ones (image ref, manifest digest, layer digest).</param>
public sealed record RemoteLayerRequest(string ChainId, string? ParentChainId, IReadOnlyDictionary<string, string> Labels);

/// <summary>The directories a container on a Starlight image is mounted from.</summary>
/// <param name="MetadataDirectory">Where the filesystem image is mounted (or, in directory-tree mode, the plain tree).</param>
/// <param name="GateDirectory">The container's own directory in the arrival gate; null once the image is complete.</param>
/// <param name="ObjectsDirectory">
/// The object store; null (then the gate is null too) when the metadata directory is complete by itself: a plain tree, or an inner overlay mount that has the object store
/// and the gate as its own layers.
/// </param>
/// <param name="TailDirectory">
/// The last data-only layer, whose answer an application gets to see for a content that cannot be had (overlay hides the errors of all others); null without a gate.
/// </param>
public sealed record RootFilesystemLayers(string MetadataDirectory, string? GateDirectory, string? ObjectsDirectory, string? TailDirectory = null)
{
    /// <summary>
    /// What the container's overlay needs on a watched one, to know files that were copied up as those that they were: a lower layer without a UUID is followed only where one of some features is on, and this one
    /// leaves nothing behind in the upper layer (ADR 0033).
    /// </summary>
    public const string WatchedOption = "xino=on";

    /// <summary>The metadata directory is an overlay in which opens are watched: <see cref="WatchedOption"/>.</summary>
    public bool IsWatched { get; init; }
}

/// <summary>The images that Starlight provides on this worker, as the snapshotter sees them. Safe for concurrent use.</summary>
public interface IProvidedImages
{
    /// <summary>
    /// True if the layer, on the parent named, belongs to an image that Starlight provides (received or being received): the snapshotter then commits it without a
    /// Prepare/unpack. May begin to receive the image for that. False makes containerd unpack the layer in the ordinary way; so does any failure.
    /// </summary>
    Task<bool> ProvidesAsync(RemoteLayerRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Makes the image whose top layer is <paramref name="chainId"/> mountable for the snapshot <paramref name="snapshotKey"/> and returns its layers. Repeating the call
    /// for the same key gives the same gate directory while it lives. Fails with NotFound or Unavailable.
    /// </summary>
    /// <param name="chainId">The top layer.</param>
    /// <param name="snapshotKey">Who is to be mounted.</param>
    /// <param name="inOneDirectory">The result names the metadata directory alone, which shows the whole tree.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    Task<Result<RootFilesystemLayers>> AttachAsync(string chainId, string snapshotKey, bool inOneDirectory, CancellationToken cancellationToken);

    /// <summary>The snapshot is gone: its gate directory may go. Unknown keys are ignored.</summary>
    void Detach(string snapshotKey);

    /// <summary>No snapshot with this chain ID is left: what only its image needs may be freed. Unknown chain IDs are ignored.</summary>
    Task ReleaseAsync(string chainId, CancellationToken cancellationToken);

    /// <summary>
    /// Chain IDs, for <see cref="ReleaseAsync"/>, of the images that no pull and no question has touched for <paramref name="quiet"/>: if such an image has no snapshot either,
    /// its pull was given up between the image's arrival and its top layer's commit.
    /// </summary>
    IReadOnlyList<string> ListQuiet(TimeSpan quiet);

    /// <summary>Bytes and inodes that the layer's image occupies on this worker now (objects shared with other images count once, for the oldest).</summary>
    Task<(long Size, long Inodes)> UsageAsync(string chainId, CancellationToken cancellationToken);
}
