using MediatR;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Scanning;
using Starlight.Application.Convert;
using Starlight.Application.Notify;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Scanner;

/// <summary>Takes the job that has waited longest, if there is one, and does it. True if there was one, whatever became of it.</summary>
/// <param name="Owner">This process, told apart from all others that ever were.</param>
public sealed record RunNextScanJobCommand(string Owner) : IRequest<Result<bool>>;

/// <summary>
/// 1. Claim a job; another proxy may be faster. 2. Ask the registry what the tag stands for now. 3. Convert it. 4. Index it. 5. Record the outcome. Meanwhile a heartbeat
/// renews the lease and writes progress; who loses the lease stops.
/// </summary>
internal sealed partial class RunNextScanJobHandler(
    IScanJobs jobs, IMediator mediator, IImageTransports transports, ScannerOptions options, TimeProvider time, ILogger<RunNextScanJobHandler> logger)
    : IRequestHandler<RunNextScanJobCommand, Result<bool>>
{
    /// <summary>Looked at per claim: more than proxies that could be faster.</summary>
    private const int Candidates = 8;

    /// <summary>What was pushed is something else: a chart, a signature. Nobody did anything wrong.</summary>
    private static readonly string[] NoImage = ["Image.NotAnImage", "Convert.NotAnImage"];

    public async Task<Result<bool>> Handle(RunNextScanJobCommand request, CancellationToken cancellationToken)
    {
        // 1.
        if (await ClaimAsync(request.Owner, cancellationToken) is not { } job)
        {
            return false;
        }

        if (job.State != ScanState.Running)
        {
            GivenUp(logger, job.Source, job.Error!.Message, job.Attempts);
            return true;
        }

        Started(logger, job.Source, job.Destination?.ToString() ?? "the catalog", job.Attempts);
        ScanProgress progress = new();
        using CancellationTokenSource work = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using CancellationTokenSource beat = new();
        Task<bool> heart = BeatAsync(job, progress, work, beat.Token);
        Result<Outcome> outcome;
        try
        {
            outcome = await WorkAsync(job, progress, work.Token);
        }
        catch (OperationCanceledException) when (work.IsCancellationRequested)
        {
            await beat.CancelAsync();
            if (await heart)
            {
                // We are told to stop; a database that is away now lets the lease run out instead.
                await UpdateAsync(job, j => j.Release(time.GetUtcNow()), CancellationToken.None);
            }

            cancellationToken.ThrowIfCancellationRequested();
            return true;
        }
        finally
        {
            await beat.CancelAsync();
        }

        await heart;
        await RecordAsync(job, outcome, cancellationToken);
        return true;
    }

    private async Task<ScanJob?> ClaimAsync(string owner, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        foreach (ScanJob job in await jobs.FindRunnableAsync(now, Candidates, cancellationToken))
        {
            ScanJob claimed = job.Claim(owner, now, options.Lease);
            if (await jobs.TryReplaceAsync(claimed, job.Version, cancellationToken))
            {
                return claimed;
            }
        }

        return null;
    }

    private async Task<Result<Outcome>> WorkAsync(ScanJob job, ScanProgress progress, CancellationToken cancellationToken)
    {
        try
        {
            // The configuration may have changed since the job was queued.
            if (!options.Registries.Contains(job.Source.Registry))
            {
                return ScannerErrors.RegistryUnknown(job.Source.Registry);
            }

            // 2.
            Digest source = await ResolveAsync(job.Source, cancellationToken);

            // 3.
            if (job.Destination is { } destination)
            {
                Result<ConvertImageResult> converted = await mediator.Send(
                    new ConvertImageCommand(
                        job.Source.WithDigest(source).ToString(),
                        destination,
                        job.Platforms.Count == 0 ? PlatformSelection.All : PlatformSelection.Of(job.Platforms),
                        options.IsInsecure(job.Source),
                        options.IsInsecure(destination),
                        progress),
                    cancellationToken);
                if (!converted.IsSuccess)
                {
                    return converted.Error;
                }
            }

            // 4.
            ImageReference indexed = job.Destination ?? job.Source;
            Result<NotifyReport> report = await mediator.Send(new NotifyImageCommand(indexed, job.Platforms, options.IsInsecure(indexed), progress), cancellationToken);
            return report.IsSuccess ? new Outcome(job.Destination is null ? report.Value.Digest : source, report.Value.Digest) : report.Error;
        }
        catch (FailureException e)
        {
            return e.Error;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            // One image's surprise must not end the work on all others: it is recorded and logged with its stack.
            Unforeseen(logger, job.Source, e);
            return ScannerErrors.Unforeseen(e.Message);
        }
    }

    private async Task<Digest> ResolveAsync(ImageReference source, CancellationToken cancellationToken)
    {
        await using IImageSource there = transports.OpenSource(source, new RegistryAccess(options.IsInsecure(source)));
        return (await there.ResolveAsync(cancellationToken)).Digest;
    }

    /// <summary>5.</summary>
    private async Task RecordAsync(ScanJob job, Result<Outcome> outcome, CancellationToken cancellationToken)
    {
        ScanJob? recorded = await UpdateAsync(
            job,
            j => outcome switch
            {
                { IsSuccess: true } => j.Succeed(outcome.Value.Source, outcome.Value.Indexed, time.GetUtcNow()),
                { Error: { } error } when NoImage.Contains(error.Code) => j.Skip(error, time.GetUtcNow()),
                { Error: var error } => j.Fail(error!, time.GetUtcNow()),
            },
            cancellationToken);
        switch (recorded)
        {
            case null:
                LeaseLost(logger, job.Source);
                break;
            case { State: ScanState.Done }:
                Done(logger, job.Source, recorded.Result!.Value, (recorded.FinishedAt! - recorded.StartedAt!).Value.TotalMilliseconds);
                break;
            case { State: ScanState.Skipped }:
                Skipped(logger, job.Source, recorded.Error!.Message);
                break;
            case { State: ScanState.Failed }:
                GivenUp(logger, job.Source, recorded.Error!.Message, recorded.Attempts);
                break;
            default:
                Again(logger, job.Source, recorded.Error?.Message ?? "it was pushed again", Math.Max(0, (recorded.NotBefore - time.GetUtcNow()).TotalSeconds));
                break;
        }
    }

    /// <summary>Until told to stop. False if the lease is lost: then the work has been cancelled, because another proxy does it.</summary>
    private async Task<bool> BeatAsync(ScanJob job, ScanProgress progress, CancellationTokenSource work, CancellationToken stop)
    {
        DateTimeOffset until = job.LeaseUntil!.Value;
        try
        {
            using PeriodicTimer timer = new(options.Beat, time);
            while (await timer.WaitForNextTickAsync(stop))
            {
                (ScanStage stage, int percent) = progress.Current;
                DateTimeOffset next = time.GetUtcNow() + options.Lease;
                try
                {
                    if (await UpdateAsync(job, j => j.Renew(stage, percent, next), stop) is null)
                    {
                        LeaseLost(logger, job.Source);
                        await work.CancelAsync();
                        return false;
                    }

                    until = next;
                }
                catch (FailureException e)
                {
                    BeatFailed(logger, job.Source, e.Message);
                    if (time.GetUtcNow() >= until)
                    {
                        await work.CancelAsync();
                        return false;
                    }
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The work has ended.
        }

        return true;
    }

    /// <summary>Changes the job as it is stored now, if it is still ours; null if not.</summary>
    private async Task<ScanJob?> UpdateAsync(ScanJob job, Func<ScanJob, ScanJob> change, CancellationToken cancellationToken)
    {
        while (await jobs.FindAsync(job.Source, job.Destination, cancellationToken) is { State: ScanState.Running } present && present.Owner == job.Owner)
        {
            ScanJob next = change(present);
            if (await jobs.TryReplaceAsync(next, present.Version, cancellationToken))
            {
                return next;
            }
        }

        return null;
    }

    /// <param name="Source">What the tag stood for.</param>
    /// <param name="Indexed">What the catalog knows now.</param>
    private sealed record Outcome(Digest Source, Digest Indexed);

    [LoggerMessage(1, LogLevel.Information, "scanner: {Source} to {Destination}, attempt {Attempt}")]
    private static partial void Started(ILogger logger, ImageReference source, string destination, int attempt);

    [LoggerMessage(2, LogLevel.Information, "scanner: {Source} done: {Result}, in {Milliseconds:F0} ms")]
    private static partial void Done(ILogger logger, ImageReference source, Digest result, double milliseconds);

    [LoggerMessage(3, LogLevel.Information, "scanner: {Source} skipped: {Reason}")]
    private static partial void Skipped(ILogger logger, ImageReference source, string reason);

    [LoggerMessage(4, LogLevel.Warning, "scanner: {Source} to be done again in {Seconds:F0} s: {Reason}")]
    private static partial void Again(ILogger logger, ImageReference source, string reason, double seconds);

    [LoggerMessage(5, LogLevel.Error, "scanner: {Source} given up after {Attempts} attempts: {Reason}")]
    private static partial void GivenUp(ILogger logger, ImageReference source, string reason, int attempts);

    [LoggerMessage(6, LogLevel.Warning, "scanner: another proxy has taken {Source} over")]
    private static partial void LeaseLost(ILogger logger, ImageReference source);

    [LoggerMessage(7, LogLevel.Warning, "scanner: progress of {Source} could not be written: {Reason}")]
    private static partial void BeatFailed(ILogger logger, ImageReference source, string reason);

    [LoggerMessage(8, LogLevel.Error, "scanner: unforeseen fault with {Source}")]
    private static partial void Unforeseen(ILogger logger, ImageReference source, Exception exception);
}
