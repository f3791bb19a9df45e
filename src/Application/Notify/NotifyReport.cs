using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Application.Notify;

public enum NotifyStage
{
    /// <summary>The reference is known: so many images are to be indexed.</summary>
    Resolved,

    /// <summary>A layer is being read from the registry.</summary>
    Layer,

    /// <summary>All layers of an image are there; its tree and filesystem image are being made.</summary>
    Merging,

    /// <summary>Everything is being stored.</summary>
    Storing,
}

/// <param name="Subject">Digest of the layer or image in question; the resolved digest for <see cref="NotifyStage.Resolved"/>.</param>
/// <param name="Bytes">Bytes of a layer's blob read so far.</param>
/// <param name="Total">Size of the layer's blob, or number of images for <see cref="NotifyStage.Resolved"/>.</param>
public sealed record NotifyProgress(NotifyStage Stage, Digest Subject, long Bytes = 0, long Total = 0);

/// <param name="IsNew">False if the image was indexed already and nothing of it was read.</param>
/// <param name="NewLayers">Layers read from the registry.</param>
/// <param name="KnownLayers">Layers that were indexed already.</param>
/// <param name="Files">Names of the tree that are not directories.</param>
/// <param name="Contents">Distinct non-empty contents.</param>
/// <param name="ContentBytes">Their total length.</param>
public sealed record NotifiedImage(
    Platform Platform, Digest Digest, Digest FilesystemDigest, bool IsNew, int NewLayers, int KnownLayers, int Files, int Contents, long ContentBytes);

/// <param name="Digest">What the reference stands for: an index or a single manifest.</param>
/// <param name="Skipped">Entries of the index that are no images for containers, with the reason.</param>
/// <param name="NewContents">Contents that the proxy did not hold before, over all images.</param>
public sealed record NotifyReport(
    ImageReference Reference, Digest Digest, IReadOnlyList<NotifiedImage> Images, IReadOnlyList<string> Skipped, long NewContents, long NewContentBytes, TimeSpan Elapsed);
