using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.OnDemand;

/// <summary>
/// Which image a layer is prepared for, as the labels of a Prepare tell. Two vocabularies are in use:
/// <code>
/// containerd.io/snapshot/cri.image-ref, cri.manifest-digest       CRI plugin of containerd 1.x and 2.x, transfer service of 2.x (containerd pkg/snapshotters/annotations.go)
/// containerd.io/snapshot/remote/stargz.reference                  ctr-remote, nerdctl, BuildKit (stargz-snapshotter fs/source/source.go)
/// </code>
/// The layer digests that both add are not needed: a chain ID stands for the layer and all below it.
/// </summary>
/// <param name="Image">
/// What to ask a proxy for. With the digest of the manifest that containerd unpacks, if it told: the tag may stand for another image by the time we ask.
/// </param>
internal sealed record LayerOrigin(ImageReference Image)
{
    private const string CriReference = "containerd.io/snapshot/cri.image-ref";
    private const string CriManifest = "containerd.io/snapshot/cri.manifest-digest";
    private const string StargzReference = "containerd.io/snapshot/remote/stargz.reference";

    /// <summary>Null if the labels name no image, or none that a proxy could know.</summary>
    public static LayerOrigin? Of(IReadOnlyDictionary<string, string> labels)
    {
        if (!labels.TryGetValue(CriReference, out string? name) && !labels.TryGetValue(StargzReference, out name))
        {
            return null;
        }

        Result<ImageReference> reference = ImageReference.Parse(name);
        if (!reference.IsSuccess)
        {
            return null;
        }

        return new LayerOrigin(
            labels.TryGetValue(CriManifest, out string? manifest) && Digest.TryParse(manifest, out Digest digest) ? reference.Value.WithDigest(digest) : reference.Value);
    }
}
