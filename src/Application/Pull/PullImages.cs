using FluentValidation;
using MediatR;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.Snapshots;
using Starlight.Domain.Content;
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

/// <summary>One image of a pull.</summary>
/// <param name="Name">In containerd.</param>
/// <param name="Target">What the name stands for: index or manifest.</param>
/// <param name="Layers">How many.</param>
/// <param name="Unpacked">containerd had unpacked these layers itself: they are kept, and nothing was received for them.</param>
public sealed record PulledImage(string Name, Descriptor Target, int Layers, bool Unpacked = false);

internal sealed class PullImagesValidator : AbstractValidator<PullImagesCommand>
{
    /// <summary>Arbitrary; a joint deployment has a handful of images.</summary>
    private const int MaxImages = 32;

    public PullImagesValidator()
    {
        RuleFor(c => c.References).NotEmpty().WithMessage("name at least one image to pull");
        RuleFor(c => c.References.Count).LessThanOrEqualTo(MaxImages).WithMessage($"at most {MaxImages} images can be pulled at once");
        RuleFor(c => c.References).Must(r => r.Select(x => x.ToString()).Distinct(StringComparer.Ordinal).Count() == r.Count).WithMessage("the same image is named twice");
        RuleFor(c => c.Namespace).Matches("^(?=.{1,76}$)[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$").WithMessage(
            "'{PropertyValue}' is not a containerd namespace (letters, digits, single '.', '_' or '-' between them, at most 76)");
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
/// <item>start taking contents, and return, or wait for them if told so or if containers cannot start before on this worker. An image whose layers containerd has unpacked
/// before needs none: the layers are kept, and what was brought for it goes again.</item>
/// </list>
/// A failure at any step undoes the ones before.
/// </summary>
internal sealed class PullImagesHandler(
    IProxyProfiles profiles, ImageFetch fetch, IWorkerImages library, ImageRegistrar registrar, SnapshotService snapshots, TimeProvider time)
    : IRequestHandler<PullImagesCommand, Result<PullReport>>
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
        Result<IReadOnlyList<BaseImage>> bases = ChooseBases(request, profile.Value);
        if (!bases.IsSuccess)
        {
            return bases.Error;
        }

        DeltaRequest delta = new(request.References, request.Platform ?? Platform.Local, bases.Value);

        // containerd is asked first: without it a pull cannot end well, and nothing has been fetched yet
        IContainerImages containerd = await registrar.OpenAsync(request.Namespace, cancellationToken);

        // 2., 3., 4. one request, check, receive
        request.Progress?.Report(new PullProgress(PullStage.Requesting, $"asking {profile.Value.Name} for {string.Join(", ", delta.Images)}", default));
        Result<FetchedImages> fetched = await fetch.BeginAsync(profile.Value, delta, basesAreOurs: request.Base is null, accept: null, cancellationToken);
        if (!fetched.IsSuccess)
        {
            return fetched.Error;
        }

        IImageReception reception = fetched.Value.Reception;
        List<(ImageRegistration Image, ContainerImage? Before, string Claim)> registered = [];
        HashSet<Digest> unpacked = [];
        try
        {
            // 5. containerd
            request.Progress?.Report(new PullProgress(PullStage.Registering, "registering with containerd", reception.Progress));
            foreach (CheckedImage image in fetched.Value.Images)
            {
                // What another pull that is still going on has registered under this name is not "before": it may be undone too.
                string claim = $"{request.Namespace}\n{image.Registration.Name}";
                ContainerImage? before = await containerd.FindImageAsync(image.Registration.Name, cancellationToken);
                bool isOthers = reception.Claim(claim) && before?.Target.Digest == image.Registration.Target.Digest;
                registered.Add((image.Registration, isOthers ? null : before, claim));
                await registrar.RegisterAsync(containerd, image.Registration, cancellationToken);
                if (!snapshots.IsProvided(image.Incoming.TopChainId.ToString()))
                {
                    unpacked.Add(image.Incoming.TopChainId);
                }
            }

            // No provided snapshot stands for layers that containerd has unpacked itself, so no removal of one would ever free what came for them. What another pull is about to make a
            // snapshot of stays: that pull has not settled.
            reception.Settle();
            foreach (Digest chain in fetched.Value.Images.SelectMany(i => i.Incoming.ChainIds).Distinct())
            {
                await snapshots.ReleaseUnusedAsync(chain.ToString());
            }

            // 6. contents
            if (unpacked.Count == fetched.Value.Images.Select(i => i.Incoming.TopChainId).Distinct().Count())
            {
                return Report(fetched.Value, unpacked, time.GetElapsedTime(started));
            }

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
            foreach ((ImageRegistration image, ContainerImage? before, string claim) in registered)
            {
                // another pull that shares the reception stands by the name
                if (!reception.Claim(claim))
                {
                    await registrar.UnregisterAsync(containerd, image, before);
                }
            }

            await reception.AbandonAsync();
            throw;
        }

        return Report(fetched.Value, unpacked, time.GetElapsedTime(started));
    }

    private Result<IReadOnlyList<BaseImage>> ChooseBases(PullImagesCommand request, ProxyProfile proxy)
    {
        if (request.Base is null)
        {
            return Result<IReadOnlyList<BaseImage>>.Success(library.FindBases(proxy, request.References));
        }

        Result<BaseImage> named = library.FindBase(request.Base);
        return named.IsSuccess ? Result<IReadOnlyList<BaseImage>>.Success([named.Value]) : named.Error;
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

    private static PullReport Report(FetchedImages fetched, HashSet<Digest> unpacked, TimeSpan elapsed)
    {
        PulledImage[] images =
        [
            .. fetched.Images.Select(i => new PulledImage(i.Registration.Name, i.Registration.Target, i.Incoming.ChainIds.Count, unpacked.Contains(i.Incoming.TopChainId))),
        ];
        bool nothingToReceive = images.All(i => i.Unpacked);
        return new PullReport(
            images,
            fetched.Bases,
            fetched.Images.SelectMany(i => i.Layers).DistinctBy(l => l.Digest).Sum(l => l.Size),
            fetched.ContentBytes,
            nothingToReceive ? 0 : fetched.SentContentBytes,
            fetched.Reception.Progress,
            elapsed,
            nothingToReceive || (fetched.Reception.Completion is { IsCompletedSuccessfully: true } done && done.Result.IsSuccess));
    }
}
