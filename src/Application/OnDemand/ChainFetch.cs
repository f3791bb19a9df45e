using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.Pull;
using Starlight.Domain.Content;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.OnDemand;

/// <summary>Fetches a tree that the worker knows of without having it whole: from the proxy its image came from, like any pull. Safe for concurrent use.</summary>
public sealed partial class ChainFetch
{
    private readonly IWorkerImages _library;
    private readonly IProxyProfiles _profiles;
    private readonly ImageFetch _fetch;
    private readonly ILogger<ChainFetch> _logger;

    internal ChainFetch(IWorkerImages library, IProxyProfiles profiles, ImageFetch fetch, ILogger<ChainFetch> logger)
    {
        _library = library;
        _profiles = profiles;
        _fetch = fetch;
        _logger = logger;
    }

    /// <summary>Returns when the library has taken the tree over and its contents are on their way. The chain must have a snapshot, which keeps it.</summary>
    public async Task<Result> BeginAsync(Digest chain, ChainSource source, CancellationToken cancellationToken)
    {
        // A profile may have been renamed or removed since.
        Result<ProxyProfile> proxy = _profiles.Find(source.ProxyProfile) is { IsSuccess: true } named ? named : _profiles.Find(null);
        if (!proxy.IsSuccess)
        {
            return proxy.Error;
        }

        DeltaRequest request = new([source.Image], source.Platform, _library.FindBases(proxy.Value, [source.Image]), source.Layers);
        Result<FetchedImages> fetched = await _fetch.BeginAsync(proxy.Value, request, basesAreOurs: true, images => RequireChain(images[0].Incoming, chain), cancellationToken);
        if (!fetched.IsSuccess)
        {
            return fetched.Error;
        }

        fetched.Value.Reception.Start();
        fetched.Value.Reception.Settle();
        LogFetched(chain, source.Image.ToString(), fetched.Value.SentContentBytes);
        return Result.Success;
    }

    private static Result RequireChain(IncomingImage image, Digest chain) => image.TopChainId == chain
        ? Result.Success
        : new Error("Image.Mismatch", $"the proxy sent the tree of {image.TopChainId} instead of {chain}", ErrorKind.DataCorrupt);

    [LoggerMessage(Level = LogLevel.Information, Message = "fetching the tree of {ChainId}, layers of {Image}: {Bytes} bytes of contents are missing")]
    private partial void LogFetched(Digest chainId, string image, long bytes);
}
