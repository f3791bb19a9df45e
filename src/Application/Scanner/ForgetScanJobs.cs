using MediatR;
using Starlight.Application.Abstractions.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Scanner;

/// <summary>Drops jobs that ended longer ago than <see cref="ScannerOptions.Memory"/>, so that the list does not grow for ever. How many.</summary>
public sealed record ForgetScanJobsCommand : IRequest<Result<int>>;

internal sealed class ForgetScanJobsHandler(IScanJobs jobs, ScannerOptions options, TimeProvider time) : IRequestHandler<ForgetScanJobsCommand, Result<int>>
{
    public async Task<Result<int>> Handle(ForgetScanJobsCommand request, CancellationToken cancellationToken) => await jobs.ForgetAsync(time.GetUtcNow() - options.Memory, cancellationToken);
}
