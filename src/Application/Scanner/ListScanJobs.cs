using FluentValidation;
using MediatR;
using Starlight.Application.Abstractions.Scanning;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Scanner;

/// <param name="State">Null for any.</param>
/// <param name="Source">Null for any.</param>
/// <param name="Limit">1 to <see cref="MaxLimit"/>.</param>
public sealed record ListScanJobsQuery(ScanState? State, ImageReference? Source, int Limit) : IRequest<Result<IReadOnlyList<ScanJob>>>
{
    /// <summary>Some 500 KB of JSON. Arbitrary.</summary>
    public const int MaxLimit = 1000;
}

internal sealed class ListScanJobsValidator : AbstractValidator<ListScanJobsQuery>
{
    public ListScanJobsValidator() =>
        RuleFor(q => q.Limit).InclusiveBetween(1, ListScanJobsQuery.MaxLimit).WithErrorCode("Scanner.LimitOutOfRange").WithMessage($"'limit' must be from 1 to {ListScanJobsQuery.MaxLimit}");
}

internal sealed class ListScanJobsHandler(IScanJobs jobs) : IRequestHandler<ListScanJobsQuery, Result<IReadOnlyList<ScanJob>>>
{
    public async Task<Result<IReadOnlyList<ScanJob>>> Handle(ListScanJobsQuery request, CancellationToken cancellationToken) =>
        Result<IReadOnlyList<ScanJob>>.Success(await jobs.ListAsync(request.State, request.Source, request.Limit, cancellationToken));
}
