using System.Diagnostics;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Preparation;
using Starlight.Application.Report;
using Starlight.Application.Telemetry;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Notify;

/// <summary>Runs notifies: one run at a time for the same reference, platforms and access, shared by all who ask meanwhile.</summary>
internal sealed class SharedNotifications(
    IImageTransports transports, ImageResolver resolver, ImageIndexer indexer, IImageCatalog catalog, LearnedOrders orders, ClaimedWork claimed, IContentStore contents, ImagesToPrepare notified, TimeProvider time)
{
    /// <summary>Nobody collects so often. Arbitrary.</summary>
    private const int Attempts = 3;

    private readonly SharedWork<(ImageReference Reference, string Platforms, bool Insecure), NotifyProgress, NotifyReport> _runs = new();

    public Task<NotifyReport> RunAsync(NotifyImageCommand command, CancellationToken cancellationToken)
    {
        string platforms = string.Join(',', command.Platforms.Select(p => p.ToString()).Distinct().Order(StringComparer.Ordinal));
        return _runs.RunAsync(
            (command.Reference, platforms, command.Insecure),
            (progress, token) => NotifyAsync(command.Reference, [.. command.Platforms.Distinct()], command.Insecure, progress, token),
            command.Progress,
            cancellationToken);
    }

    private async Task<NotifyReport> NotifyAsync(
        ImageReference reference, IReadOnlyList<Platform> platforms, bool insecure, IProgress<NotifyProgress> progress, CancellationToken cancellationToken)
    {
        long started = time.GetTimestamp();
        using Activity? span = ProxyTelemetry.Source.StartActivity("index image");
        span?.SetTag("starlight.reference", reference.ToString());
        string result = "failed";
        try
        {
            NotifyReport report = await NotifyAsync(reference, platforms, insecure, progress, started, cancellationToken);
            result = report.Images.Any(i => i.IsNew) ? "indexed" : "known";
            ProxyTelemetry.IndexedBytes.Add(report.NewContentBytes);
            return report;
        }
        finally
        {
            ProxyTelemetry.IndexTime.Record(time.GetElapsedTime(started).TotalSeconds, new KeyValuePair<string, object?>("result", result));
            span?.SetStatus(result == "failed" ? ActivityStatusCode.Error : ActivityStatusCode.Ok);
        }
    }

    /// <summary>1. resolve; 2. index every image; 3. store everything at once; 4. let new images inherit what traces have taught about others.</summary>
    private async Task<NotifyReport> NotifyAsync(
        ImageReference reference, IReadOnlyList<Platform> platforms, bool insecure, IProgress<NotifyProgress> progress, long started, CancellationToken cancellationToken)
    {
        // 1.
        ResolvedReference resolved;
        await using (IImageSource source = transports.OpenSource(reference, new RegistryAccess(insecure)))
        {
            resolved = await resolver.ResolveAsync(source, platforms, cancellationToken);
        }

        progress.Report(new NotifyProgress(NotifyStage.Resolved, resolved.Digest, Total: resolved.Images.Count));

        // 2., 3. and 4. by one proxy at a time: the next finds the images known.
        return await claimed.RunAloneAsync($"notify {resolved.Digest}", token => IndexAgainAsync(reference, resolved, insecure, progress, started, token), cancellationToken);
    }

    /// <summary>A layer that was known, but of no image, may be collected after it was looked up: the next time it is a new one, and is read.</summary>
    private async Task<NotifyReport> IndexAgainAsync(
        ImageReference reference, ResolvedReference resolved, bool insecure, IProgress<NotifyProgress> progress, long started, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await IndexAsync(reference, resolved, insecure, progress, started, cancellationToken);
            }
            catch (FailureException e) when (attempt < Attempts && e.Error.Code == "Layer.Collected")
            {
                // Once more, from the registry.
            }
        }
    }

    private async Task<NotifyReport> IndexAsync(
        ImageReference reference, ResolvedReference resolved, bool insecure, IProgress<NotifyProgress> progress, long started, CancellationToken cancellationToken)
    {
        // 2. One image after the other: their layers are read in parallel.
        ImageOrigin origin = new(reference.Registry, reference.Repository, insecure);
        List<IndexingOutcome> outcomes = [];
        Dictionary<Digest, ReadLayer> read = [];
        foreach (ResolvedImage image in resolved.Images)
        {
            // A tag that moves meanwhile does not matter: blobs are named by digest.
            IndexedImage? known = image.Known ?? await catalog.FindImageAsync(image.Digest, cancellationToken);
            outcomes.Add(await indexer.IndexAsync(
                () => transports.OpenSource(reference, new RegistryAccess(insecure)), origin, image with { Known = known }, read, progress, cancellationToken));
        }

        progress.Report(new NotifyProgress(NotifyStage.Storing, resolved.Digest));

        // 3. Contents first, so that a power failure does not make the proxy read them again. Layers that were known go along: they may have been collected meanwhile.
        await contents.FlushAsync(cancellationToken);
        ReadLayer[] newLayers = [.. read.Values.Where(l => l.IsNew)];
        await catalog.RecordAsync(
            new Notification(
                reference,
                resolved.Index,
                [.. resolved.Images.Select(i => new PlatformImage(i.Platform, i.Digest))],
                [.. outcomes.Where(o => o.IsNew).Select(o => o.Image)],
                [.. read.Values.Select(l => l.Layer)])
            {
                Insecure = insecure,
            },
            cancellationToken);

        // 4.
        foreach (Digest image in outcomes.Where(o => o.IsNew).Select(o => o.Image.Digest).Distinct())
        {
            await orders.InheritAsync(image, cancellationToken);
        }

        notified.Announce(reference);
        return new NotifyReport(
            reference,
            resolved.Digest,
            [.. resolved.Images.Zip(outcomes, Describe)],
            resolved.Skipped,
            newLayers.Sum(l => l.Added.Count),
            newLayers.Sum(l => l.Added.Bytes),
            time.GetElapsedTime(started));
    }

    private static NotifiedImage Describe(ResolvedImage resolved, IndexingOutcome outcome)
    {
        IndexedImage image = outcome.Image;
        int newLayers = outcome.Layers.Count(l => l.IsNew);
        return new NotifiedImage(
            resolved.Platform, image.Digest, image.FilesystemDigest, outcome.IsNew, newLayers, image.Layers.Count - newLayers, image.FileCount, image.ContentCount, image.ContentBytes);
    }
}
