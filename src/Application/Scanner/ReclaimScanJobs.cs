using MediatR;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Scanning;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Scanner;

/// <summary>
/// Puts jobs back into the queue that earlier processes of this proxy left running when they died: nobody needs to wait for their leases, because only one process at a
/// time has the proxy's name.
/// </summary>
/// <param name="Proxy">What the names of all owners of this proxy begin with.</param>
public sealed record ReclaimScanJobsCommand(string Proxy) : IRequest<Result>;

internal sealed partial class ReclaimScanJobsHandler(IScanJobs jobs, TimeProvider time, ILogger<ReclaimScanJobsHandler> logger) : IRequestHandler<ReclaimScanJobsCommand, Result>
{
    public async Task<Result> Handle(ReclaimScanJobsCommand request, CancellationToken cancellationToken)
    {
        foreach (ScanJob job in await jobs.FindOwnedAsync(request.Proxy, cancellationToken))
        {
            // The attempt counts: if this job is what killed the process, it must not do so for ever. One that changed meanwhile is somebody else's now.
            if (await jobs.TryReplaceAsync(job.Release(time.GetUtcNow()) with { Attempts = job.Attempts }, job.Version, cancellationToken))
            {
                Reclaimed(logger, job.Source);
            }
        }

        return Result.Success;
    }

    [LoggerMessage(1, LogLevel.Information, "scanner: {Reference} was left unfinished when this proxy ended and is queued again")]
    private static partial void Reclaimed(ILogger logger, Starlight.Domain.References.ImageReference reference);
}
