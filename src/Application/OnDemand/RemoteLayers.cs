using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.Pull;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.OnDemand;

/// <summary>
/// Pulls that nobody commanded: containerd pulls an image in its own way and asks its snapshotter for each layer whether that can be had without an unpack. The first such
/// question about an image begins its delta pull; the questions about its other layers, which come one after the other or at once, wait for the same pull.
/// <list type="number">
/// <item>The library has the layer: yes.</item>
/// <item>The labels name no image: no.</item>
/// <item>Join the image's running pull; or, if the proxy said no a moment ago, say no; or begin the pull through the default proxy.</item>
/// <item>The bundle is checked like that of any pull, and the layer must be one of the image's on the parent named; then the library takes it over.</item>
/// <item>Ask the library again. Where containers cannot start early, that is when everything has arrived.</item>
/// </list>
/// Nothing is registered with containerd, which does that itself. Every failure means "no": containerd then unpacks the layer in the ordinary way.
/// Everything but the question is the library's.
/// </summary>
internal sealed partial class RemoteLayers(
    IProvidedImages library, IWorkerImages images, ImageFetch fetch, IProxyProfiles profiles, TimeProvider time, ILogger<RemoteLayers> logger)
    : ProvidedImagesDecorator(library), IAsyncDisposable
{
    /// <summary>
    /// A proxy answers from memory within a round trip; planning from a cold database takes a second at most. One that takes longer is down or overloaded, and the ordinary
    /// pull has to wait for us.
    /// </summary>
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long a refusal stands for an image's other layers: long enough that an image of many layers does not ask for each, short enough that a proxy that came back is noticed
    /// in the middle of a long ordinary pull. A pull from its lowest layer on asks anew. Arbitrary.
    /// </summary>
    private static readonly TimeSpan RefusalStands = TimeSpan.FromSeconds(30);

    /// <summary>Image as asked for → its running pull, or the time of the refusal; guards itself.</summary>
    private readonly Dictionary<string, ImagePull> _pulls = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private int _disposed;

    public override async Task<bool> ProvidesAsync(RemoteLayerRequest request, CancellationToken cancellationToken)
    {
        // 1. 2.
        if (await base.ProvidesAsync(request, cancellationToken))
        {
            return true;
        }

        if (!Digest.TryParse(request.ChainId, out Digest chainId) || LayerOrigin.Of(request.Labels) is not { } origin)
        {
            return false;
        }

        // 3. 4. The pull belongs to all who wait for it: one of them going away does not end it.
        if (Join(origin, request, chainId) is not { } pull)
        {
            return false;
        }

        await pull.WaitAsync(cancellationToken);

        // 5.
        return await base.ProvidesAsync(request, cancellationToken);
    }

    /// <summary>Ends running pulls. The library, which they use, is still there: it is disposed later, because it was there earlier.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _stopping.CancelAsync();
        Task[] running;
        lock (_pulls)
        {
            running = [.. _pulls.Values.Select(p => p.Running).OfType<Task>()];
        }

        await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    /// <summary>The pull of the layer's image, or null if it was refused a moment ago.</summary>
    private Task? Join(LayerOrigin origin, RemoteLayerRequest request, Digest chainId)
    {
        string key = origin.Image.ToString();
        lock (_pulls)
        {
            foreach ((string old, ImagePull pull) in _pulls)
            {
                if (pull.Running is null && time.GetElapsedTime(pull.Refused) >= RefusalStands)
                {
                    _pulls.Remove(old);
                }
            }

            if (_pulls.TryGetValue(key, out ImagePull? known) && (known.Running is not null || request.ParentChainId is not null))
            {
                return known.Running;
            }

            // Task.Run: nothing of the pull may run, and end, before it is in the table
            Task running = Task.Run(() => PullAsync(key, origin, request, chainId), CancellationToken.None);
            _pulls[key] = new ImagePull { Running = running };
            return running;
        }
    }

    private async Task PullAsync(string key, LayerOrigin origin, RemoteLayerRequest request, Digest chainId)
    {
        bool begun = false;
        try
        {
            Result outcome = await BeginAsync(origin, request, chainId);
            begun = outcome.IsSuccess;
            if (outcome.IsSuccess)
            {
                LogBegun(key);
            }
            else if (outcome.Error is { Kind: ErrorKind.NotFound } or { Code: "Proxy.NoProfile" })
            {
                LogUnknown(key, outcome.Error.Message);
            }
            else
            {
                LogRefused(key, outcome.Error.Message);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // the daemon ends; so do those who wait
        }
        catch (FailureException e)
        {
            LogRefused(key, e.Error.Message);
        }
        finally
        {
            lock (_pulls)
            {
                if (begun)
                {
                    // From here on the library knows. Should the image be removed, the next question begins a new pull.
                    _pulls.Remove(key);
                }
                else
                {
                    _pulls[key] = new ImagePull { Refused = time.GetTimestamp() };
                }
            }
        }
    }

    private async Task<Result> BeginAsync(LayerOrigin origin, RemoteLayerRequest request, Digest chainId)
    {
        Result<ProxyProfile> proxy = profiles.Find(null);
        if (!proxy.IsSuccess)
        {
            return proxy.Error;
        }

        DeltaRequest delta = new([origin.Image], Platform.Local, images.FindBases(proxy.Value, [origin.Image])) { AnswerWithin = AnswerWithin };
        Result<FetchedImages> fetched = await fetch.BeginAsync(
            proxy.Value, delta, basesAreOurs: true, checkedImages => RequireLayer(checkedImages[0].Incoming, chainId, request.ParentChainId), _stopping.Token);
        if (!fetched.IsSuccess)
        {
            return fetched.Error;
        }

        fetched.Value.Reception.Start();
        if (images.SupportsEarlyStart)
        {
            fetched.Value.Reception.Settle();
            return Result.Success;
        }

        // Whoever pulls expects that a container can start afterwards. Not settled before: nobody asks about the image's other layers meanwhile, however long it takes.
        Result received = await fetched.Value.Reception.Completion.WaitAsync(_stopping.Token);
        if (received.IsSuccess)
        {
            fetched.Value.Reception.Settle();
        }
        else
        {
            await fetched.Value.Reception.AbandonAsync();
        }

        return received;
    }

    /// <summary>What containerd unpacks must be what the proxy sent: a tag that was moved in between, or an image of another platform, is another chain.</summary>
    private static Result RequireLayer(IncomingImage image, Digest chainId, string? parent) => LayerChain.Has(image.ChainIds, chainId, parent)
        ? Result.Success
        : new Error("RemoteLayer.OtherImage", $"the proxy's {image.Reference} ({image.ManifestDigest}) has no layer {chainId} on {parent ?? "nothing"}: it is another image or platform", ErrorKind.NotFound);

    [LoggerMessage(Level = LogLevel.Information, Message = "containerd pulls {Image}: its contents come through the proxy")]
    private partial void LogBegun(string image);

    [LoggerMessage(Level = LogLevel.Information, Message = "containerd pulls {Image} in the ordinary way: {Reason}")]
    private partial void LogUnknown(string image, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "containerd pulls {Image} in the ordinary way, because it could not be had from the proxy: {Reason}")]
    private partial void LogRefused(string image, string reason);

    /// <summary>One image: a pull that runs, or a refusal.</summary>
    private sealed class ImagePull
    {
        public Task? Running { get; init; }

        /// <summary>Timestamp of the refusal; meaningless while the pull runs.</summary>
        public long Refused { get; init; }
    }
}
