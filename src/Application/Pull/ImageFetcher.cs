using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Pull;

/// <summary>A bundle whose documents are checked and whose contents are on their way.</summary>
/// <param name="Images">In the order they were asked for.</param>
/// <param name="Bases">Images whose contents are not sent again.</param>
/// <param name="Reception">Not started yet.</param>
/// <param name="ContentBytes">Bytes of all files of the images, each content once.</param>
/// <param name="SentContentBytes">Of these, bytes of contents that the bundle carries (uncompressed).</param>
internal sealed record BegunFetch(IReadOnlyList<CheckedImage> Images, IReadOnlyList<BaseImage> Bases, IImageReception Reception, long ContentBytes, long SentContentBytes);

/// <summary>What every way of getting images through a proxy has in common: one request, a check of everything that comes, and the hand-over to the worker's library.</summary>
internal sealed partial class ImageFetcher(IProxyClient proxies, IWorkerImages library, ILogger<ImageFetcher> logger)
{
    /// <param name="proxy">Whom to ask.</param>
    /// <param name="request">What for.</param>
    /// <param name="mayDropBases">
    /// The bases were chosen by Starlight: if the proxy no longer knows one, or one is damaged here, everything is asked for instead. A whole bundle always works.
    /// </param>
    /// <param name="progress">Told about the stages.</param>
    /// <param name="cancellationToken">Ends the request; nothing is left behind.</param>
    public async Task<Result<BegunFetch>> BeginAsync(
        ProxyProfile proxy, DeltaRequest request, bool mayDropBases, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        Result<BegunFetch> begun = await TryBeginAsync(proxy, request, progress, cancellationToken);
        if (!begun.IsSuccess && begun.Error.Code is "Bundle.BaseUnknown" or "Bundle.BaseIncomplete" && mayDropBases && request.Bases.Count > 0)
        {
            LogBasesDropped(begun.Error.Message);
            begun = await TryBeginAsync(proxy, request with { Bases = [] }, progress, cancellationToken);
        }

        return begun;
    }

    private async Task<Result<BegunFetch>> TryBeginAsync(ProxyProfile proxy, DeltaRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        // 1. one request
        progress?.Report(new PullProgress(PullStage.Requesting, $"asking {proxy.Name} for {string.Join(", ", request.Images)}", default));
        IIncomingBundle bundle;
        try
        {
            bundle = await proxies.RequestDeltaAsync(proxy, request, cancellationToken);
        }
        catch (FailureException e)
        {
            return e.Error;
        }

        // 2. check
        List<CheckedImage> images = [];
        for (int i = 0; i < request.Images.Count; i++)
        {
            Result<CheckedImage> image = i < bundle.Images.Count
                ? ImageCheck.Check(request.Images[i], request.Platform, bundle.Images[i], request.Layers)
                : new Error("Bundle.Incomplete", $"the proxy's answer has {bundle.Images.Count} of {request.Images.Count} images: update the proxy", ErrorKind.DataCorrupt);
            if (!image.IsSuccess)
            {
                await bundle.DisposeAsync();
                return image.Error;
            }

            images.Add(image.Value);
        }

        // 3. hand over
        long contentBytes = bundle.ImageContents.SelectMany(c => c).DistinctBy(c => c.Digest).Sum(c => c.Size);
        long sentBytes = bundle.Contents.Sum(c => c.Size);
        Result<IImageReception> reception = await library.BeginAsync(proxy, request, bundle, [.. images.Select(i => i.Incoming)], cancellationToken);
        return reception.Map(r => new BegunFetch(images, request.Bases, r, contentBytes, sentBytes));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "asking for the whole image instead of a delta: {Reason}")]
    private partial void LogBasesDropped(string reason);
}
