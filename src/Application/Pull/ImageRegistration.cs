using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Pull;

/// <summary>Everything containerd has to know of a pulled image.</summary>
/// <param name="Reference">Its text is the image's name in containerd.</param>
/// <param name="Target">What the name stands for: the index if there is one, else the manifest.</param>
/// <param name="Index">Index bytes verbatim, or null.</param>
/// <param name="Manifest">Descriptor of the platform's manifest.</param>
/// <param name="ManifestBytes">Verbatim.</param>
/// <param name="Config">Descriptor of the configuration.</param>
/// <param name="ConfigBytes">Verbatim.</param>
/// <param name="ChainIds">Names of the layers' snapshots, base first.</param>
internal sealed record ImageRegistration(
    ImageReference Reference,
    Descriptor Target,
    ReadOnlyMemory<byte>? Index,
    Descriptor Manifest,
    ReadOnlyMemory<byte> ManifestBytes,
    Descriptor Config,
    ReadOnlyMemory<byte> ConfigBytes,
    IReadOnlyList<Digest> ChainIds)
{
    public string Name => Reference.ToString();
}

/// <summary>
/// Makes a pulled image an ordinary image of containerd, and takes it back. The labels let containerd's garbage collector keep and free all parts together:
/// <code>
/// image ─▶ index ─m.0▶ manifest ─config▶ configuration ─snapshot.starlight▶ top snapshot ─parent▶ …
/// </code>
/// (containerd docs/garbage-collection.md). Layer blobs are not stored: a remote snapshotter has none.
/// </summary>
internal sealed partial class ImageRegistrar(IContainerRuntime containerd, ILogger<ImageRegistrar> logger)
{
    public const string Snapshotter = "starlight";

    private const string GcContent = "containerd.io/gc.ref.content.";
    private const string GcSnapshot = "containerd.io/gc.ref.snapshot." + Snapshotter;
    private const string DistributionSource = "containerd.io/distribution.source.";

    /// <summary>Marks images that Starlight pulled, as the original did.</summary>
    private const string PullerLabel = "puller.containerd.io";

    /// <summary>If this process dies half-way, containerd frees the parts after so long.</summary>
    private static readonly TimeSpan LeaseExpiry = TimeSpan.FromMinutes(10);

    /// <summary>Fails unless containerd answers, knows the snapshotter and has the namespace (created if missing).</summary>
    public async Task<IContainerImages> OpenAsync(string containerdNamespace, CancellationToken cancellationToken)
    {
        await containerd.RequireSnapshotterAsync(Snapshotter, cancellationToken);
        return await containerd.OpenNamespaceAsync(containerdNamespace, cancellationToken);
    }

    /// <summary>Repeating it changes nothing.</summary>
    public async Task RegisterAsync(IContainerImages images, ImageRegistration image, CancellationToken cancellationToken)
    {
        await using IContainerLease lease = await images.BeginLeaseAsync(LeaseExpiry, cancellationToken);

        // Each of these calls waits for containerd's disk: documents and snapshots go side by side, the name that refers to them last.
        KeyValuePair<string, string> source = new(DistributionSource + image.Reference.Registry, image.Reference.Repository);
        List<Task> parts =
        [
            PrepareSnapshotsAsync(lease, image, cancellationToken),
            lease.PutBlobAsync(image.Config, image.ConfigBytes, Labels(source, new(GcSnapshot, image.ChainIds[^1].ToString())), cancellationToken),
            lease.PutBlobAsync(image.Manifest, image.ManifestBytes, Labels(source, new(GcContent + "config", image.Config.Digest.ToString())), cancellationToken),
        ];
        if (image.Index is { } index)
        {
            parts.Add(lease.PutBlobAsync(image.Target, index, Labels(source, new(GcContent + "m.0", image.Manifest.Digest.ToString())), cancellationToken));
        }

        await Task.WhenAll(parts);
        await lease.SetImageAsync(new ContainerImage(image.Name, image.Target, Labels(new KeyValuePair<string, string>(PullerLabel, Snapshotter))), cancellationToken);
    }

    /// <summary>One committed snapshot per layer, base first: each is the next one's parent.</summary>
    private static async Task PrepareSnapshotsAsync(IContainerLease lease, ImageRegistration image, CancellationToken cancellationToken)
    {
        string? parent = null;
        foreach (Digest chainId in image.ChainIds)
        {
            string name = chainId.ToString();
            if (!await lease.PrepareRemoteSnapshotAsync(new RemoteSnapshot(Snapshotter, name, parent, Labels()), cancellationToken))
            {
                throw new FailureException(new Error(
                    "Pull.SnapshotRefused",
                    $"containerd's snapshotter '{Snapshotter}' did not take over the layer {name} of {image.Name}: is its address this daemon's socket?",
                    ErrorKind.FailedPrecondition));
            }

            parent = name;
        }
    }

    /// <summary>Undoes <see cref="RegisterAsync"/> as far as it came: the name goes if it stands for this image, and containerd frees the rest. Never throws: it runs because something else failed.</summary>
    public async Task UnregisterAsync(IContainerImages images, ImageRegistration image, ContainerImage? before)
    {
        try
        {
            if (before is not null)
            {
                await images.SetImageAsync(before, CancellationToken.None);
            }
            else if (await images.FindImageAsync(image.Name, CancellationToken.None) is { } now && now.Target.Digest == image.Target.Digest)
            {
                await images.DeleteImageAsync(image.Name, collect: true, CancellationToken.None);
            }
        }
        catch (FailureException e)
        {
            LogNotUndone(image.Name, e.Error.Message);
        }
    }

    private static Dictionary<string, string> Labels(params ReadOnlySpan<KeyValuePair<string, string>> labels)
    {
        Dictionary<string, string> all = new(StringComparer.Ordinal);
        foreach ((string name, string value) in labels)
        {
            all[name] = value;
        }

        return all;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Image} could not be taken back from containerd: {Reason}")]
    private partial void LogNotUndone(string image, string reason);
}
