using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Pull;

/// <summary>Images that the worker's library has taken over, with their contents still on the way.</summary>
/// <param name="Images">Parallel to the request's.</param>
/// <param name="Bases">What was built upon: fewer than asked for if the proxy or this worker could not.</param>
/// <param name="Reception">Not started yet.</param>
/// <param name="ContentBytes">Bytes of all files of the images, each content once.</param>
/// <param name="SentContentBytes">Of these, bytes of contents that the bundle carries (uncompressed).</param>
internal sealed record FetchedImages(
    IReadOnlyList<CheckedImage> Images, IReadOnlyList<BaseImage> Bases, IImageReception Reception, long ContentBytes, long SentContentBytes);

/// <summary>
/// The part of a pull that has nothing to do with who asked for it: one request, the check of every document, and the hand-over to the worker's library.
/// </summary>
internal sealed partial class ImageFetch(IProxyClient proxies, IWorkerImages library, ILogger<ImageFetch> logger)
{
    /// <param name="proxy">Whom to ask.</param>
    /// <param name="delta">What to ask for.</param>
    /// <param name="basesAreOurs">True if the bases were chosen by us: those that turn out to be of no use are done without.</param>
    /// <param name="accept">The caller's own condition on the images, looked at before anything is stored; null for none.</param>
    /// <param name="cancellationToken">Ends the request; what has been handed over stays.</param>
    public async Task<Result<FetchedImages>> BeginAsync(
        ProxyProfile proxy, DeltaRequest delta, bool basesAreOurs, Func<IReadOnlyList<CheckedImage>, Result>? accept, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            Result<FetchedImages> fetched = await TryAsync(proxy, delta, accept, cancellationToken);
            if (fetched.IsSuccess || fetched.Error.Code is not ("Bundle.BaseUnknown" or "Bundle.BaseIncomplete") || !basesAreOurs || delta.Bases.Count == 0)
            {
                return fetched;
            }

            // The proxy no longer knows some of ours, and names them; or one of ours is damaged, and nobody knows which. A whole bundle always works.
            BaseImage[] left = attempt == 1 && fetched.Error.Subjects.Count > 0 ? [.. delta.Bases.Where(b => !IsNamed(b, fetched.Error.Subjects))] : [];
            LogBasesDropped(delta.Bases.Count - left.Length, delta.Bases.Count, fetched.Error.Message);
            delta = delta with { Bases = left };
        }
    }

    /// <summary>By the digest: a proxy may call the repository by another name.</summary>
    private static bool IsNamed(BaseImage image, IReadOnlyList<string> references)
    {
        string digest = image.ManifestDigest.ToString();
        return references.Any(r => r.EndsWith(digest, StringComparison.Ordinal));
    }

    private async Task<Result<FetchedImages>> TryAsync(
        ProxyProfile proxy, DeltaRequest delta, Func<IReadOnlyList<CheckedImage>, Result>? accept, CancellationToken cancellationToken)
    {
        IIncomingBundle bundle;
        try
        {
            bundle = await proxies.RequestDeltaAsync(proxy, delta, cancellationToken);
        }
        catch (FailureException e)
        {
            return e.Error;
        }

        Result<IReadOnlyList<CheckedImage>> images = Check(delta, bundle);
        Error? refused = !images.IsSuccess ? images.Error : accept?.Invoke(images.Value) is { IsSuccess: false } no ? no.Error : null;
        if (refused is not null)
        {
            await bundle.DisposeAsync();
            return refused;
        }

        long contentBytes = bundle.ImageContents.SelectMany(c => c).DistinctBy(c => c.Digest).Sum(c => c.Size);
        long sentBytes = bundle.Contents.Sum(c => c.Size);
        Result<IImageReception> reception = await library.BeginAsync(proxy, delta, bundle, [.. images.Value.Select(i => i.Incoming)], cancellationToken);
        return reception.Map(r => new FetchedImages(images.Value, delta.Bases, r, contentBytes, sentBytes));
    }

    private static Result<IReadOnlyList<CheckedImage>> Check(DeltaRequest delta, IIncomingBundle bundle)
    {
        List<CheckedImage> images = [];
        for (int i = 0; i < delta.Images.Count; i++)
        {
            Result<CheckedImage> image = i < bundle.Images.Count
                ? ImageCheck.Check(delta.Images[i], delta.Platform, bundle.Images[i], delta.Layers)
                : new Error("Bundle.Incomplete", $"the proxy's answer has {bundle.Images.Count} of {delta.Images.Count} images: update the proxy", ErrorKind.DataCorrupt);
            if (!image.IsSuccess)
            {
                return image.Error;
            }

            images.Add(image.Value);
        }

        return images;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "asking again without {Dropped} of {Bases} bases: {Reason}")]
    private partial void LogBasesDropped(int dropped, int bases, string reason);
}
