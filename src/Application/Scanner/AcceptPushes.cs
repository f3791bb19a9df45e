using MediatR;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Scanning;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Scanner;

/// <summary>One tag of which a registry says that it was pushed.</summary>
/// <param name="Reference">With a tag.</param>
public sealed record PushedTag(ImageReference Reference, Digest Digest);

/// <summary>Queues what the rules say about pushed tags. Repeating it queues nothing twice.</summary>
public sealed record AcceptPushesCommand(IReadOnlyList<PushedTag> Pushes) : IRequest<Result<AcceptedPushes>>;

/// <param name="Queued">Jobs that are to run because of these pushes.</param>
/// <param name="Known">Pushes that an earlier one had announced already.</param>
/// <param name="Ignored">Pushes that mean nothing to this proxy, with why.</param>
public sealed record AcceptedPushes(int Queued, int Known, IReadOnlyList<IgnoredPush> Ignored);

public sealed record IgnoredPush(string Subject, string Reason);

internal sealed partial class AcceptPushesHandler(IScanJobs jobs, ScannerOptions options, TimeProvider time, ILogger<AcceptPushesHandler> logger)
    : IRequestHandler<AcceptPushesCommand, Result<AcceptedPushes>>
{
    public async Task<Result<AcceptedPushes>> Handle(AcceptPushesCommand request, CancellationToken cancellationToken)
    {
        int queued = 0;
        int known = 0;
        List<IgnoredPush> ignored = [];
        foreach (PushedTag push in request.Pushes)
        {
            Result<ScanJobKey> key = KeyOf(push);
            if (!key.IsSuccess)
            {
                Ignored(logger, push.Reference, key.Error.Message);
                ignored.Add(new IgnoredPush(push.Reference.ToString(), key.Error.Message));
            }
            else if (await QueueAsync(push, key.Value, cancellationToken))
            {
                queued++;
                Queued(logger, push.Reference, push.Digest, key.Value.Rule);
            }
            else
            {
                known++;
            }
        }

        return new AcceptedPushes(queued, known, ignored);
    }

    private Result<ScanJobKey> KeyOf(PushedTag push)
    {
        if (!options.Registries.Contains(push.Reference.Registry))
        {
            return ScannerErrors.RegistryUnknown(push.Reference.Registry);
        }

        ScanRule? rule = options.Rules.Find(push.Reference);
        if (rule is null or { Action: ScanAction.Ignore })
        {
            return ScannerErrors.NoRule(push.Reference, rule is null && options.Rules.IsDestination(push.Reference));
        }

        if (rule.Destination is null)
        {
            return new ScanJobKey(rule, Destination: null);
        }

        Result<ImageReference> destination = rule.Destination.Apply(push.Reference);
        return destination.IsSuccess ? new ScanJobKey(rule, destination.Value) : destination.Error;
    }

    /// <summary>False if it is known already. Others may add or change the same job at the same time: then it is looked at again.</summary>
    private async Task<bool> QueueAsync(PushedTag push, ScanJobKey key, CancellationToken cancellationToken)
    {
        while (true)
        {
            DateTimeOffset now = time.GetUtcNow();
            ScanJob? present = await jobs.FindAsync(push.Reference, key.Destination, cancellationToken);
            if (present is null)
            {
                if (await jobs.TryAddAsync(ScanJob.Queue(push.Reference, key.Destination, key.Rule, push.Digest, now), cancellationToken))
                {
                    return true;
                }
            }
            else if (present.Push(key.Rule, push.Digest, now) is not { } next)
            {
                return false;
            }
            else if (await jobs.TryReplaceAsync(next, present.Version, cancellationToken))
            {
                return true;
            }
        }
    }

    private sealed record ScanJobKey(ScanRule Rule, ImageReference? Destination);

    [LoggerMessage(1, LogLevel.Information, "scanner: {Reference} = {Digest} queued by the rule {Rule}")]
    private static partial void Queued(ILogger logger, ImageReference reference, Digest digest, ScanRule rule);

    [LoggerMessage(2, LogLevel.Information, "scanner: push of {Reference} ignored: {Reason}")]
    private static partial void Ignored(ILogger logger, ImageReference reference, string reason);
}
