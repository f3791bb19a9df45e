using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.Pull;
using Starlight.Application.Snapshots;
using Starlight.Domain.Content;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.OnDemand;

/// <summary>
/// Trees for the lower layers of an image that Starlight brought, fetched when somebody first stands on them: an image with the same base that containerd unpacks in the
/// ordinary way, or a snapshot prepared by hand. Most of the contents are here already, so little more than the metadata travels.
/// </summary>
internal sealed partial class MissingTrees(IProvidedImages local, IWorkerImages library, IProxyProfiles profiles, ImageFetch fetch, ILogger<MissingTrees> logger)
    : ProvidedImagesDecorator(local)
{
    private readonly ChainLocks _chains = new();

    public override async Task<Result<RootFilesystemLayers>> AttachAsync(string chainId, string snapshotKey, bool inOneDirectory, CancellationToken cancellationToken)
    {
        Result fetched = await FetchMissingTreeAsync(chainId, cancellationToken);
        return fetched.IsSuccess ? await base.AttachAsync(chainId, snapshotKey, inOneDirectory, cancellationToken) : fetched.Error;
    }

    private async Task<Result> FetchMissingTreeAsync(string chainId, CancellationToken cancellationToken)
    {
        if (!Digest.TryParse(chainId, out Digest chain) || library.FindMissingTree(chain) is null)
        {
            return Result.Success;
        }

        // Containers and layers on the same chain wait for one fetch.
        using IDisposable only = await _chains.EnterAsync(chainId, cancellationToken);
        if (library.FindMissingTree(chain) is not { } source)
        {
            return Result.Success;
        }

        // A profile may have been renamed or removed since.
        Result<ProxyProfile> proxy = profiles.Find(source.ProxyProfile) is { IsSuccess: true } named ? named : profiles.Find(null);
        if (!proxy.IsSuccess)
        {
            return proxy.Error;
        }

        DeltaRequest request = new([source.Image], source.Platform, library.FindBases(proxy.Value, [source.Image]), source.Layers);
        Result<FetchedImages> fetched = await fetch.BeginAsync(proxy.Value, request, basesAreOurs: true, images => RequireChain(images[0].Incoming, chain), cancellationToken);
        if (!fetched.IsSuccess)
        {
            return fetched.Error with { Message = $"the lower layers of {source.Image} are not on this worker and cannot be fetched: {fetched.Error.Message}" };
        }

        fetched.Value.Reception.Start();
        fetched.Value.Reception.Settle(); // the chain has a snapshot already
        LogFetched(chain, source.Image.ToString(), fetched.Value.SentContentBytes);
        return Result.Success;
    }

    private static Result RequireChain(IncomingImage image, Digest chain) => image.TopChainId == chain
        ? Result.Success
        : new Error("Image.Mismatch", $"the proxy sent the tree of {image.TopChainId} instead of {chain}", ErrorKind.DataCorrupt);

    [LoggerMessage(Level = LogLevel.Information, Message = "fetching the tree of {ChainId}, lower layers of {Image}: {Bytes} bytes of contents are missing")]
    private partial void LogFetched(Digest chainId, string image, long bytes);
}
