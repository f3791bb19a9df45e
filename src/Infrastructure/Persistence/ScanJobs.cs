using Microsoft.EntityFrameworkCore;
using Starlight.Application.Abstractions.Scanning;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Persistence;

internal sealed class ScanJobs(CatalogAccess access) : IScanJobs
{
    private const string Queued = nameof(ScanState.Queued);
    private const string Running = nameof(ScanState.Running);

    public Task<ScanJob?> FindAsync(ImageReference source, ImageReference? destination, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            (string from, string to) = (source.ToString(), destination?.ToString() ?? "");
            ScanJobRow? row = await context.ScanJobs.AsNoTracking().FirstOrDefaultAsync(j => j.Source == from && j.Destination == to, cancellationToken);
            return row is null ? null : FromRow(row);
        },
        cancellationToken);

    public Task<bool> TryAddAsync(ScanJob job, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            context.ScanJobs.Add(ToRow(job));
            try
            {
                await context.SaveChangesAsync(cancellationToken);
                return true;
            }
            catch (DbUpdateException e) when (ImageCatalog.IsCollision(e))
            {
                return false;
            }
        },
        cancellationToken);

    public Task<bool> TryReplaceAsync(ScanJob job, long version, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            ScanJobRow row = ToRow(job);
            context.ScanJobs.Update(row);
            context.Entry(row).Property(r => r.Version).OriginalValue = version;
            try
            {
                await context.SaveChangesAsync(cancellationToken);
                return true;
            }
            catch (DbUpdateConcurrencyException)
            {
                return false;
            }
        },
        cancellationToken);

    public Task<IReadOnlyList<ScanJob>> FindRunnableAsync(DateTimeOffset now, int limit, CancellationToken cancellationToken) => QueryAsync(
        jobs => jobs.Where(j => (j.State == Queued && j.NotBefore <= now) || (j.State == Running && j.LeaseUntil <= now)).OrderBy(j => j.NotBefore).Take(limit), cancellationToken);

    public Task<IReadOnlyList<ScanJob>> FindOwnedAsync(string ownerPrefix, CancellationToken cancellationToken) =>
        QueryAsync(jobs => jobs.Where(j => j.State == Running && j.Owner!.StartsWith(ownerPrefix)), cancellationToken);

    public Task<IReadOnlyList<ScanJob>> ListAsync(ScanState? state, ImageReference? source, int limit, CancellationToken cancellationToken)
    {
        (string? inState, string? from) = (state?.ToString(), source?.ToString());
        return QueryAsync(
            jobs => jobs.Where(j => (inState == null || j.State == inState) && (from == null || j.Source == from)).OrderByDescending(j => j.QueuedAt).ThenBy(j => j.Source).Take(limit),
            cancellationToken);
    }

    public Task<int> ForgetAsync(DateTimeOffset endedBefore, CancellationToken cancellationToken) => access.RunAsync(
        context => context.ScanJobs.Where(j => j.State != Queued && j.State != Running && j.FinishedAt < endedBefore).ExecuteDeleteAsync(cancellationToken), cancellationToken);

    private Task<IReadOnlyList<ScanJob>> QueryAsync(Func<IQueryable<ScanJobRow>, IQueryable<ScanJobRow>> query, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyList<ScanJob>>(
        async context => [.. (await query(context.ScanJobs.AsNoTracking()).ToListAsync(cancellationToken)).Select(FromRow)], cancellationToken);

    private static ScanJobRow ToRow(ScanJob job) => new()
    {
        Source = job.Source.ToString(),
        Destination = job.Destination?.ToString() ?? "",
        Platforms = string.Join(',', job.Platforms),
        Rule = job.Rule,
        Pushed = job.Pushed,
        IsPushedAgain = job.IsPushedAgain,
        State = job.State.ToString(),
        Stage = job.Stage?.ToString(),
        Percent = job.Percent,
        Attempts = job.Attempts,
        NotBefore = job.NotBefore,
        Owner = job.Owner,
        LeaseUntil = job.LeaseUntil,
        QueuedAt = job.QueuedAt,
        StartedAt = job.StartedAt,
        FinishedAt = job.FinishedAt,
        ErrorCode = job.Error?.Code,
        ErrorKind = job.Error?.Kind.ToString(),
        ErrorMessage = job.Error?.Message,
        Result = job.Result,
        Version = job.Version,
    };

    private static ScanJob FromRow(ScanJobRow row) => new()
    {
        Source = ImageReference.Parse(row.Source).Value,
        Destination = row.Destination.Length == 0 ? null : ImageReference.Parse(row.Destination).Value,
        Platforms = [.. row.Platforms.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(p => Platform.Parse(p).Value)],
        Rule = row.Rule,
        Pushed = row.Pushed,
        IsPushedAgain = row.IsPushedAgain,
        State = Enum.Parse<ScanState>(row.State),
        Stage = row.Stage is null ? null : Enum.Parse<ScanStage>(row.Stage),
        Percent = row.Percent,
        Attempts = row.Attempts,
        NotBefore = row.NotBefore,
        Owner = row.Owner,
        LeaseUntil = row.LeaseUntil,
        QueuedAt = row.QueuedAt,
        StartedAt = row.StartedAt,
        FinishedAt = row.FinishedAt,
        Error = row.ErrorCode is null ? null : new Error(row.ErrorCode, row.ErrorMessage ?? "", Enum.Parse<ErrorKind>(row.ErrorKind ?? nameof(ErrorKind.Internal))),
        Result = row.Result,
        Version = row.Version,
    };
}
