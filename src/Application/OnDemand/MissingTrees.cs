using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.Snapshots;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.OnDemand;

/// <summary>
/// Trees for the lower layers of an image that Starlight brought, fetched when somebody first stands on them: an image with the same base that containerd unpacks in the
/// ordinary way, or a snapshot prepared by hand. Most of the contents are here already, so little more than the metadata travels.
/// </summary>
internal sealed class MissingTrees(IProvidedImages local, IWorkerImages library, ChainFetch fetch) : ProvidedImagesDecorator(local)
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

        Result fetched = await fetch.BeginAsync(chain, source, cancellationToken);
        return fetched.IsSuccess
            ? Result.Success
            : fetched.Error with { Message = $"the lower layers of {source.Image} are not on this worker and cannot be fetched: {fetched.Error.Message}" };
    }
}
