using FluentValidation;
using MediatR;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Bundles;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Pull;

/// <summary>Fetches images through a proxy as one bundle and makes them known to containerd.</summary>
/// <param name="References">Images wanted; several share one bundle.</param>
/// <param name="Base">The one image to build upon, or null to let the worker choose.</param>
/// <param name="ProfileName">Proxy profile; null or empty for the default.</param>
/// <param name="Namespace">containerd namespace.</param>
/// <param name="Platform">Null for this machine's.</param>
/// <param name="WaitForContents">
/// True to return only when everything has arrived (<c>--disable-early-start</c>). A worker that cannot start containers early always waits.
/// </param>
/// <param name="Progress">Receives stages and bytes while the command runs.</param>
public sealed record PullImagesCommand(
    IReadOnlyList<ImageReference> References,
    ImageReference? Base,
    string? ProfileName,
    string Namespace,
    Platform? Platform,
    bool WaitForContents,
    IProgress<PullProgress>? Progress = null) : IRequest<Result<PullReport>>;

public enum PullStage
{
    Requesting,
    Registering,
    Receiving,
}

/// <summary>One step of a running pull.</summary>
public sealed record PullProgress(PullStage Stage, string Message, ReceptionProgress Reception);

/// <summary>What a pull brought.</summary>
/// <param name="Images">Name in containerd and digest of what the name stands for (index or manifest).</param>
/// <param name="Bases">Images whose contents were not sent again.</param>
/// <param name="LayerBytes">Bytes of the images' compressed layers: what an ordinary pull to an empty worker transfers.</param>
/// <param name="ContentBytes">Bytes of all files of the images, each content once.</param>
/// <param name="SentContentBytes">Of these, bytes of contents that the bundle carries (uncompressed).</param>
/// <param name="Reception">State when the command returned.</param>
/// <param name="Elapsed">From the command's start to its return.</param>
/// <param name="Complete">Everything has arrived.</param>
public sealed record PullReport(
    IReadOnlyList<PulledImage> Images,
    IReadOnlyList<BaseImage> Bases,
    long LayerBytes,
    long ContentBytes,
    long SentContentBytes,
    ReceptionProgress Reception,
    TimeSpan Elapsed,
    bool Complete);

public sealed record PulledImage(string Name, Descriptor Target, int Layers);

internal sealed class PullImagesValidator : AbstractValidator<PullImagesCommand>
{
    /// <summary>Arbitrary; a joint deployment has a handful of images.</summary>
    private const int MaxImages = 32;

    public PullImagesValidator()
    {
        RuleFor(c => c.References).NotEmpty().WithMessage("name at least one image to pull");
        RuleFor(c => c.References.Count).LessThanOrEqualTo(MaxImages).WithMessage($"at most {MaxImages} images can be pulled at once");
        RuleFor(c => c.References).Must(r => r.Select(x => x.ToString()).Distinct(StringComparer.Ordinal).Count() == r.Count).WithMessage("the same image is named twice");
        RuleFor(c => c.Namespace).Matches("^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$").MaximumLength(76).WithMessage("'{PropertyValue}' is not a containerd namespace");
    }
}

/// <summary>
/// The pull:
/// <list type="number">
/// <item>choose the bases;</item>
/// <item>send one request and read the metadata;</item>
/// <item>check every document against the digest that names it;</item>
/// <item>hand the bundle to the worker's image library;</item>
/// <item>make manifest, configuration, snapshots and image known to containerd, under a lease;</item>
/// <item>start taking contents, and return, or wait for them if told so or if containers cannot start before on this worker.</item>
/// </list>
/// A failure at any step undoes the ones before.
/// </summary>
internal sealed partial class PullImagesHandler(
    IProxyProfiles profiles,
    IProxyClient proxies,
    IWorkerImages library,
    ImageRegistrar registrar,
    TimeProvider time,
    ILogger<PullImagesHandler> logger) : IRequestHandler<PullImagesCommand, Result<PullReport>>
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(200);

    public async Task<Result<PullReport>> Handle(PullImagesCommand request, CancellationToken cancellationToken)
    {
        long started = time.GetTimestamp();
        Result<ProxyProfile> profile = profiles.Find(request.ProfileName);
        if (!profile.IsSuccess)
        {
            return profile.Error;
        }

        // 1. bases
        Result<IReadOnlyList<BaseImage>> bases = ChooseBases(request);
        if (!bases.IsSuccess)
        {
            return bases.Error;
        }

        DeltaRequest delta = new(request.References, request.Platform ?? Platform.Local, bases.Value);

        // containerd is asked first: without it a pull cannot end well, and nothing has been fetched yet
        IContainerImages containerd = await registrar.OpenAsync(request.Namespace, cancellationToken);

        Result<Begun> begun = await BeginAsync(profile.Value, delta, request, cancellationToken);
        if (!begun.IsSuccess && begun.Error.Code is "Bundle.BaseUnknown" or "Bundle.BaseIncomplete" && request.Base is null && delta.Bases.Count > 0)
        {
            // The proxy no longer knows one of ours, or one of ours is damaged: a whole bundle always works.
            LogBasesDropped(begun.Error.Message);
            delta = delta with { Bases = [] };
            begun = await BeginAsync(profile.Value, delta, request, cancellationToken);
        }

        if (!begun.IsSuccess)
        {
            return begun.Error;
        }

        IImageReception reception = begun.Value.Reception;
        List<(ImageRegistration Image, ContainerImage? Before)> registered = [];
        try
        {
            // 5. containerd
            request.Progress?.Report(new PullProgress(PullStage.Registering, "registering with containerd", reception.Progress));
            foreach (CheckedImage image in begun.Value.Images)
            {
                registered.Add((image.Registration, await containerd.FindImageAsync(image.Registration.Name, cancellationToken)));
                await registrar.RegisterAsync(containerd, image.Registration, cancellationToken);
            }

            // 6. contents
            reception.Start();
            if (request.WaitForContents || !library.SupportsEarlyStart)
            {
                Result done = await WaitAsync(reception, request.Progress, cancellationToken);
                if (!done.IsSuccess)
                {
                    throw new FailureException(done.Error);
                }
            }
        }
        catch
        {
            foreach ((ImageRegistration image, ContainerImage? before) in registered)
            {
                await registrar.UnregisterAsync(containerd, image, before);
            }

            await reception.AbandonAsync();
            throw;
        }

        return begun.Value.Report(delta.Bases, reception, time.GetElapsedTime(started));
    }

    private Result<IReadOnlyList<BaseImage>> ChooseBases(PullImagesCommand request)
    {
        if (request.Base is null)
        {
            return Result<IReadOnlyList<BaseImage>>.Success(library.FindBases(request.References));
        }

        Result<BaseImage> named = library.FindBase(request.Base);
        return named.IsSuccess ? Result<IReadOnlyList<BaseImage>>.Success([named.Value]) : named.Error;
    }

    private async Task<Result<Begun>> BeginAsync(ProxyProfile proxy, DeltaRequest delta, PullImagesCommand request, CancellationToken cancellationToken)
    {
        // 2. one request
        request.Progress?.Report(new PullProgress(PullStage.Requesting, $"asking {proxy.Name} for {string.Join(", ", delta.Images)}", default));
        IIncomingBundle bundle;
        try
        {
            bundle = await proxies.RequestDeltaAsync(proxy, delta, cancellationToken);
        }
        catch (FailureException e)
        {
            return e.Error;
        }

        // 3. check
        List<CheckedImage> images = [];
        for (int i = 0; i < delta.Images.Count; i++)
        {
            Result<CheckedImage> image = i < bundle.Images.Count
                ? ImageCheck.Check(delta.Images[i], delta.Platform, bundle.Images[i])
                : new Error("Bundle.Incomplete", $"the proxy's answer has {bundle.Images.Count} of {delta.Images.Count} images: update the proxy", ErrorKind.DataCorrupt);
            if (!image.IsSuccess)
            {
                await bundle.DisposeAsync();
                return image.Error;
            }

            images.Add(image.Value);
        }

        // 4. receive
        long contentBytes = bundle.ImageContents.SelectMany(c => c).DistinctBy(c => c.Digest).Sum(c => c.Size);
        long sentBytes = bundle.Contents.Sum(c => c.Size);
        Result<IImageReception> reception = await library.BeginAsync(proxy, delta, bundle, [.. images.Select(i => i.Incoming)], cancellationToken);
        return reception.Map(r => new Begun(images, r, contentBytes, sentBytes));
    }

    private async Task<Result> WaitAsync(IImageReception reception, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        using PeriodicTimer timer = new(ProgressInterval, time);
        Task<Result> completion = reception.Completion;
        string receiving = library.SupportsEarlyStart ? "receiving contents" : "receiving contents (containers cannot start before on this worker: see 'ctr-starlight version')";
        while (!completion.IsCompleted)
        {
            ReceptionProgress now = reception.Progress;
            progress?.Report(new PullProgress(PullStage.Receiving, now.Building ? "building the directory tree" : receiving, now));
            await Task.WhenAny(completion, timer.WaitForNextTickAsync(cancellationToken).AsTask());
            cancellationToken.ThrowIfCancellationRequested();
        }

        progress?.Report(new PullProgress(PullStage.Receiving, "received", reception.Progress));
        return await completion;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "asking for the whole image instead of a delta: {Reason}")]
    private partial void LogBasesDropped(string reason);

    /// <summary>A pull whose contents are on their way.</summary>
    private sealed record Begun(IReadOnlyList<CheckedImage> Images, IImageReception Reception, long ContentBytes, long SentContentBytes)
    {
        public PullReport Report(IReadOnlyList<BaseImage> bases, IImageReception reception, TimeSpan elapsed) => new(
            [.. Images.Select(i => new PulledImage(i.Registration.Name, i.Registration.Target, i.Incoming.ChainIds.Count))],
            bases,
            Images.SelectMany(i => i.Layers).DistinctBy(l => l.Digest).Sum(l => l.Size),
            ContentBytes,
            SentContentBytes,
            reception.Progress,
            elapsed,
            reception.Completion is { IsCompletedSuccessfully: true } done && done.Result.IsSuccess);
    }
}
