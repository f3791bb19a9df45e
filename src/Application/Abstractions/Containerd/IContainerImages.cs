using Starlight.Domain.Content;
using Starlight.Domain.Images;

namespace Starlight.Application.Abstractions.Containerd;

/// <summary>An image record: a name for a manifest or index in the content store.</summary>
/// <param name="Name">The full reference as containerd's tools write it, e.g. <c>docker.io/library/redis:7</c>.</param>
/// <param name="Target">The manifest or index. Its annotations are kept.</param>
/// <param name="Labels">All labels of the record.</param>
public sealed record ContainerImage(string Name, Descriptor Target, IReadOnlyDictionary<string, string> Labels);

/// <summary>A layer that a remote snapshotter is asked to provide without unpacking.</summary>
/// <param name="Snapshotter">E.g. <c>starlight</c>.</param>
/// <param name="ChainId">What the committed snapshot is called.</param>
/// <param name="ParentChainId">The snapshot below, which must exist; null for the lowest layer.</param>
/// <param name="Labels">
/// Further labels. Only <c>containerd.io/snapshot/…</c> ones reach the snapshotter; <c>containerd.io/snapshot.ref</c> is added. Key and value together may have 4,096 bytes.
/// </param>
public sealed record RemoteSnapshot(string Snapshotter, string ChainId, string? ParentChainId, IReadOnlyDictionary<string, string> Labels);

/// <summary>
/// Content, images and snapshots of one containerd namespace. containerd collects whatever no image, container or lease refers to, at any time:
/// put related things under one lease, and hold it until the image record refers to all of them. Failures are
/// <see cref="Starlight.Domain.SharedKernel.FailureException"/>s. Safe for concurrent use.
/// </summary>
public interface IContainerImages
{
    string Namespace { get; }

    /// <summary>
    /// Keeps what is made through the result from being collected until it is disposed, or for <paramref name="expiry"/> if this process dies first.
    /// </summary>
    Task<IContainerLease> BeginLeaseAsync(TimeSpan expiry, CancellationToken cancellationToken);

    /// <summary>Whether the content store has the blob.</summary>
    Task<bool> HasBlobAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// Stores a blob with labels. One that is there already gets the labels given and keeps its others. containerd verifies size and digest: DataCorrupt if they differ.
    /// </summary>
    Task PutBlobAsync(Descriptor blob, ReadOnlyMemory<byte> content, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken);

    /// <summary>The blob's bytes, verified. Fails with NotFound, or DataCorrupt.</summary>
    Task<ReadOnlyMemory<byte>> ReadBlobAsync(Descriptor blob, CancellationToken cancellationToken);

    /// <summary>Labels of a blob. Fails with NotFound.</summary>
    Task<IReadOnlyDictionary<string, string>> GetBlobLabelsAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Sets the labels given and leaves the others; an empty value removes a label. Fails with NotFound.</summary>
    Task SetBlobLabelsAsync(Digest digest, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken);

    /// <summary>
    /// Has the snapshotter provide a layer. True if the committed snapshot exists now (also if it did before); false if the snapshotter would rather have the layer unpacked,
    /// in which case nothing is left behind. Fails with NotFound if the parent does not exist.
    /// </summary>
    Task<bool> PrepareRemoteSnapshotAsync(RemoteSnapshot snapshot, CancellationToken cancellationToken);

    /// <summary>The image record, or null.</summary>
    Task<ContainerImage?> FindImageAsync(string name, CancellationToken cancellationToken);

    /// <summary>All image records, or those that match a containerd filter, e.g. <c>labels."puller.containerd.io"==starlight</c>.</summary>
    Task<IReadOnlyList<ContainerImage>> ListImagesAsync(string? filter, CancellationToken cancellationToken);

    /// <summary>Creates the record, or replaces target and labels of the one there is.</summary>
    Task SetImageAsync(ContainerImage image, CancellationToken cancellationToken);

    /// <summary>
    /// Deletes the record; with <paramref name="collect"/> also waits until containerd has collected what only it referred to. False if there was none.
    /// </summary>
    Task<bool> DeleteImageAsync(string name, bool collect, CancellationToken cancellationToken);
}

/// <summary>The same namespace with every call made under a lease. Dispose deletes the lease.</summary>
public interface IContainerLease : IContainerImages, IAsyncDisposable
{
    string LeaseId { get; }
}
