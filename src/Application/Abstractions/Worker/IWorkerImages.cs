using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Worker;

/// <summary>One image of a bundle as the worker keeps it. The tree is named by the top chain ID: images of the same layers share it.</summary>
/// <param name="Reference">The name it was pulled by.</param>
/// <param name="ManifestDigest">The platform's manifest.</param>
/// <param name="ChainIds">One per layer, base first; never empty.</param>
/// <param name="FilesystemDigest">sha256 of its filesystem image.</param>
public sealed record IncomingImage(ImageReference Reference, Digest ManifestDigest, IReadOnlyList<Digest> ChainIds, Digest FilesystemDigest)
{
    public Digest TopChainId => ChainIds[^1];
}

/// <summary>Where the tree of a chain can be had.</summary>
/// <param name="ProxyProfile">Name of the profile that its image was pulled by.</param>
/// <param name="Image">The image, with the digest of its manifest.</param>
/// <param name="Platform">The image's platform.</param>
/// <param name="Layers">How many of the image's lowest layers make up the chain; null for all.</param>
public sealed record ChainSource(string ProxyProfile, ImageReference Image, Platform Platform, int? Layers);

/// <summary>How far a reception is.</summary>
/// <param name="ReceivedBytes">Bytes of the bundle so far.</param>
/// <param name="TotalBytes">Length of the bundle, 0 while unknown.</param>
/// <param name="ContentsDone">Contents verified and stored.</param>
/// <param name="ContentsTotal">Contents the bundle carries.</param>
/// <param name="Building">Everything has arrived and is being made into directory trees, where this worker needs them.</param>
public readonly record struct ReceptionProgress(long ReceivedBytes, long TotalBytes, int ContentsDone, int ContentsTotal, bool Building = false);

/// <summary>One pull's part in contents that are received in the background. The reception outlives the pulls that began and joined it.</summary>
public interface IImageReception
{
    ReceptionProgress Progress { get; }

    /// <summary>
    /// Begins to take contents. Until then they wait in the connection's buffers: on a small machine unpacking them would slow down what the container's creation waits for. Repeating it
    /// does nothing.
    /// </summary>
    void Start();

    /// <summary>
    /// Ends when every content is verified and durable and a container can start, or with the failure that ended the reception for good. Never throws.
    /// </summary>
    Task<Result> Completion { get; }

    /// <summary>
    /// The pull has its snapshots, or leaves them to containerd: from now on the images live as long as those. Until then nothing of them is freed, whoever removes an image of the same
    /// layers. Repeating it does nothing.
    /// </summary>
    void Settle();

    /// <summary>Says that this pull registers an image under a name; true if another pull that uses the same reception, and has not abandoned it, did so too.</summary>
    bool Claim(string name);

    /// <summary>For pulls that fail half-way: if no other pull uses the reception, stops it and removes what only it brought. Settles.</summary>
    Task AbandonAsync();
}

/// <summary>The images that this worker has or is receiving. Safe for concurrent use.</summary>
public interface IWorkerImages
{
    /// <summary>
    /// Whether containers can be created while contents are still arriving. If not, attaching a snapshot to an incomplete image waits for it, and a pull that is to return when a container can start has to wait for
    /// <see cref="IImageReception.Completion"/>.
    /// </summary>
    bool SupportsEarlyStart { get; }

    /// <summary>
    /// Complete images that came from the same proxy and whose contents it need not send again, the likeliest relatives first: same repository, then the most recent. Another proxy does not know
    /// them, and is not to learn what else runs here.
    /// </summary>
    IReadOnlyList<BaseImage> FindBases(ProxyProfile proxy, IReadOnlyList<ImageReference> wanted);

    /// <summary>The complete image that a user names as base. NotFound <c>Image.BaseUnknown</c> if it is not here or not complete.</summary>
    Result<BaseImage> FindBase(ImageReference reference);

    /// <summary>
    /// Takes over the bundle: writes the filesystem images, makes the chains known to the snapshotter. Contents are taken once the reception is started.
    /// On failure nothing is left behind and the bundle is disposed. An image that is being received already is joined, not received twice.
    /// </summary>
    /// <param name="proxy">Who sends it.</param>
    /// <param name="request">What it answers; a request for part of an image adds a tree and no image.</param>
    /// <param name="bundle">Owned from now on.</param>
    /// <param name="images">Parallel to the bundle's.</param>
    /// <param name="cancellationToken">Takes it back.</param>
    /// <returns>
    /// FailedPrecondition <c>Bundle.BaseIncomplete</c> if a content that the bundle leaves out is not here; DataCorrupt <c>Image.Mismatch</c> if the layers are here with another filesystem image.
    /// </returns>
    Task<Result<IImageReception>> BeginAsync(ProxyProfile proxy, DeltaRequest request, IIncomingBundle bundle, IReadOnlyList<IncomingImage> images, CancellationToken cancellationToken);

    /// <summary>
    /// Where to get the tree of a chain that is known here without a tree: the lower layers of an image that Starlight provides, on which another image or container is
    /// to stand. Null if the tree is here, or nothing is known of the chain.
    /// </summary>
    ChainSource? FindMissingTree(Digest chainId);
}
