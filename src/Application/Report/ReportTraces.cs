using FluentValidation;
using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Delta;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Report;

/// <summary>Stores what containers were seen to open, and lets the orders of their images follow. One bad trace does not keep the others out; repeating the command changes nothing.</summary>
/// <param name="Account">Who is logged in; empty where there are no accounts.</param>
/// <param name="Worker">What the worker calls itself.</param>
/// <param name="Traces">As they came.</param>
public sealed record ReportTracesCommand(string Account, string Worker, IReadOnlyList<SubmittedTrace> Traces) : IRequest<Result<IReadOnlyList<TraceOutcome>>>
{
    /// <summary>A worker sends a few at a time. Arbitrary; bounds the work of one request.</summary>
    public const int MaxTraces = 256;

    /// <summary>Repositories that the account may read: of others' images it is told nothing and may teach nothing.</summary>
    public RepositoryPatterns Readable { get; init; } = RepositoryPatterns.All;
}

/// <summary>A trace, or why what was sent is none.</summary>
/// <param name="Id">What the sender calls it.</param>
public sealed record SubmittedTrace(string Id, Result<Trace> Trace);

/// <summary>What became of one trace.</summary>
/// <param name="Id">What the sender calls it.</param>
/// <param name="Known">It had been stored before.</param>
/// <param name="Refusal">Null if it is stored. A refused trace will be refused again.</param>
public sealed record TraceOutcome(string Id, bool Known, Error? Refusal);

internal sealed class ReportTracesValidator : AbstractValidator<ReportTracesCommand>
{
    public ReportTracesValidator()
    {
        RuleFor(c => c.Traces.Count).LessThanOrEqualTo(ReportTracesCommand.MaxTraces).WithErrorCode("Report.TooManyTraces").WithMessage($"send at most {ReportTracesCommand.MaxTraces} traces at once");
        RuleFor(c => c.Worker).Matches(@"^[\x21-\x7e]{1,128}\z").WithErrorCode("Report.WorkerMalformed").WithMessage("a worker's name is 1 to 128 visible ASCII characters");
    }
}

internal sealed class ReportTracesHandler(IImageQueries queries, KnownNames names, ImageShelf shelf, ITraces traces, LearnedOrders orders)
    : IRequestHandler<ReportTracesCommand, Result<IReadOnlyList<TraceOutcome>>>
{
    public async Task<Result<IReadOnlyList<TraceOutcome>>> Handle(ReportTracesCommand request, CancellationToken cancellationToken)
    {
        List<TraceOutcome> outcomes = [];
        Dictionary<Digest, HashSet<Digest>?> contents = [];
        HashSet<Digest> taught = [];
        foreach (SubmittedTrace submitted in request.Traces)
        {
            if (!submitted.Trace.IsSuccess)
            {
                outcomes.Add(new TraceOutcome(submitted.Id, Known: false, submitted.Trace.Error));
                continue;
            }

            Trace trace = submitted.Trace.Value;
            if (!contents.TryGetValue(trace.Image, out HashSet<Digest>? known))
            {
                contents.Add(trace.Image, known = await FindContentsAsync(trace.Image, request.Readable, cancellationToken));
            }

            outcomes.Add(await StoreAsync(submitted.Id, new ReportedTrace(request.Account, request.Worker, trace), known, taught, cancellationToken));
        }

        // A trace that was known may come from a report whose orders were never made.
        foreach (Digest image in taught)
        {
            await orders.LearnAsync(image, cancellationToken);
        }

        return outcomes;
    }

    private async Task<TraceOutcome> StoreAsync(string id, ReportedTrace trace, HashSet<Digest>? contents, HashSet<Digest> taught, CancellationToken cancellationToken)
    {
        if (contents is null)
        {
            return new TraceOutcome(id, Known: false, ReportErrors.ImageUnknown(trace.Trace.Image));
        }

        foreach (FirstOpen open in trace.Trace.Opens)
        {
            if (!contents.Contains(open.Content))
            {
                return new TraceOutcome(id, Known: false, ReportErrors.ContentUnknown(trace.Trace.Image, open.Content));
            }
        }

        TraceReceipt receipt = await traces.RecordAsync(trace, cancellationToken);
        if (receipt == TraceReceipt.ImageUnknown)
        {
            return new TraceOutcome(id, Known: false, ReportErrors.ImageUnknown(trace.Trace.Image));
        }

        taught.Add(trace.Trace.Image);
        return new TraceOutcome(id, receipt == TraceReceipt.Known, Refusal: null);
    }

    /// <summary>Null if the image is not known to the account.</summary>
    private async Task<HashSet<Digest>?> FindContentsAsync(Digest image, RepositoryPatterns readable, CancellationToken cancellationToken)
    {
        // Asked of the database, not of what names stood for when it last answered: what was deleted must not come back from memory.
        IReadOnlyDictionary<Platform, NamedImage> platforms = await queries.FindByDigestAsync(image, cancellationToken);
        if (platforms.Values.FirstOrDefault(p => p.Manifest == image) is not { } named
            || !(readable.IsAll || (await names.FindRepositoriesAsync(image, cancellationToken)).Any(readable.Includes)))
        {
            return null;
        }

        ShelvedImage shelved = await shelf.GetAsync(named.Manifest, named.Order, layers: null, cancellationToken);
        return [.. shelved.Ordered.Contents.Select(c => c.Digest)];
    }
}
