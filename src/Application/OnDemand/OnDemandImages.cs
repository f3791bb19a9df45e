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
/// Around the worker's library (it decorates it): fetches what the snapshotter is asked for and the worker does not have yet.
/// A tree for the lower layers of a provided image is needed when somebody stands on them: an image with the same base that containerd unpacks in the ordinary way, or a
/// snapshot prepared by hand. Most of its contents are here already, so little more than its metadata travels.
/// </summary>
internal sealed partial class OnDemandImages(IProvidedImages local, IWorkerImages library, IProxyProfiles profiles, ImageFetcher fetcher, ILogger<OnDemandImages> logger) : IProvidedImages
{
    private readonly ChainLocks _chains = new();

    public Task<bool> ProvidesAsync(RemoteLayerRequest request, CancellationToken cancellationToken) => local.ProvidesAsync(request, cancellationToken);

    public async Task<Result<RootFilesystemLayers>> AttachAsync(string chainId, string snapshotKey, CancellationToken cancellationToken)
    {
        Result fetched = await FetchMissingTreeAsync(chainId, cancellationToken);
        return fetched.IsSuccess ? await local.AttachAsync(chainId, snapshotKey, cancellationToken) : fetched.Error;
    }

    public void Detach(string snapshotKey) => local.Detach(snapshotKey);

    public Task ReleaseAsync(string chainId, CancellationToken cancellationToken) => local.ReleaseAsync(chainId, cancellationToken);

    public Task<(long Size, long Inodes)> UsageAsync(string chainId, CancellationToken cancellationToken) => local.UsageAsync(chainId, cancellationToken);

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

        Result<ProxyProfile> proxy = profiles.Find(source.ProxyProfile);
        if (!proxy.IsSuccess)
        {
            return proxy.Error;
        }

        DeltaRequest request = new([source.Image], source.Platform, library.FindBases([source.Image]), source.Layers);
        Result<BegunFetch> begun = await fetcher.BeginAsync(proxy.Value, request, mayDropBases: true, progress: null, cancellationToken);
        if (!begun.IsSuccess)
        {
            return begun.Error with { Message = $"the lower layers of {source.Image} are not on this worker and cannot be fetched: {begun.Error.Message}" };
        }

        if (begun.Value.Images[0].Incoming.TopChainId != chain)
        {
            await begun.Value.Reception.AbandonAsync();
            return new Error("Image.Mismatch", $"the proxy {proxy.Value.Name} sent another tree than {chain} for {source.Image}: update the proxy", ErrorKind.DataCorrupt);
        }

        begun.Value.Reception.Start();
        LogFetched(chain, source.Image.ToString(), begun.Value.SentContentBytes);
        return Result.Success;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "fetching the tree of {ChainId}, lower layers of {Image}: {Bytes} bytes of contents are missing")]
    private partial void LogFetched(Digest chainId, string image, long bytes);
}
