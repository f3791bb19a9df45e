using System.Runtime.InteropServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;

namespace Starlight.Infrastructure.Persistence;

internal sealed class Traces(CatalogAccess access) : ITraces
{
    /// <summary>The same trace from two connections collides at most once; more attempts mean another fault.</summary>
    private const int Attempts = 4;

    public Task<TraceReceipt> RecordAsync(ReportedTrace trace, CancellationToken cancellationToken) => WriteAsync(
        async context =>
        {
            // Counted first: whoever reports for the same image waits here until this is committed, so that revisions grow in the order of commits.
            int images = await context.Images.Where(i => i.Digest == trace.Trace.Image)
                .ExecuteUpdateAsync(set => set.SetProperty(i => i.TraceRevision, i => i.TraceRevision + 1), cancellationToken);
            if (images == 0)
            {
                return TraceReceipt.ImageUnknown;
            }

            string id = trace.Trace.Id.ToString();
            if (await context.Traces.AnyAsync(t => t.Id == id, cancellationToken))
            {
                return TraceReceipt.Known;
            }

            context.Traces.Add(ToRow(trace, id));
            await context.SaveChangesAsync(cancellationToken);
            await PruneAsync(context, trace, cancellationToken);
            return TraceReceipt.Stored;
        },
        cancellationToken);

    public Task<ImageTraces> FindAsync(Digest image, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            // The revision first: if a trace is added in between, what is made of this is replaced by what its reporter makes.
            long revision = await context.Images.Where(i => i.Digest == image).Select(i => i.TraceRevision).FirstOrDefaultAsync(cancellationToken);
            List<TraceRow> rows = await context.Traces.AsNoTracking().Where(t => t.Image == image).ToListAsync(cancellationToken);
            return new ImageTraces([.. rows.Select(FromRow).OfType<ReportedTrace>()], revision);
        },
        cancellationToken);

    public Task SaveOrderAsync(Digest image, IndexedOrder order, CancellationToken cancellationToken) => WriteAsync(
        async context =>
        {
            if (!await context.Images.AnyAsync(i => i.Digest == image, cancellationToken))
            {
                return false;
            }

            LearnedOrderRow fresh = ToRow(image, order);
            LearnedOrderRow? row = await context.LearnedOrders.FirstOrDefaultAsync(o => o.Image == image, cancellationToken);
            if (row is null)
            {
                context.LearnedOrders.Add(fresh);
            }
            else if (row.Revision <= fresh.Revision)
            {
                context.Entry(row).CurrentValues.SetValues(fresh);
            }

            await context.SaveChangesAsync(cancellationToken);
            return true;
        },
        cancellationToken);

    public Task<IReadOnlyList<RelatedImage>> FindRelativesAsync(Digest image, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyList<RelatedImage>>(
        async context =>
        {
            var related = await context.Images.AsNoTracking()
                .Where(other => other.Digest != image && context.Images.Any(i => i.Digest == image && i.Platform == other.Platform))
                .OrderByDescending(other => other.IndexedAt).ThenBy(other => other.Digest)
                .Select(other => new
                {
                    other.Digest,
                    IsVersion = context.Origins.Any(o => o.Image == other.Digest && context.Origins.Any(p => p.Image == image && p.Registry == o.Registry && p.Repository == o.Repository)),
                    SharesLayer = context.ImageLayers.Any(l => l.Image == other.Digest && context.ImageLayers.Any(m => m.Image == image && m.Layer == l.Layer)),
                    HasTraces = context.Traces.Any(t => t.Image == other.Digest),
                    HasOrder = context.LearnedOrders.Any(o => o.Image == other.Digest),
                })
                .Where(other => other.IsVersion || other.SharesLayer)
                .ToListAsync(cancellationToken);
            return [.. related.Select(r => new RelatedImage(r.Digest, r.IsVersion, r.HasTraces, r.HasOrder))];
        },
        cancellationToken);

    internal static IndexedOrder FromRow(LearnedOrderRow row) => new(
        MemoryMarshal.Cast<byte, int>(Packed.Unpack(row.Order)).ToArray(),
        row.HotCount,
        MemoryMarshal.Cast<byte, long>(Packed.Unpack(row.Moments)).ToArray(),
        TraceCodec.DecodeGroups(row.Groups),
        row.Traces,
        row.InheritedFrom,
        row.Revision);

    private Task<T> WriteAsync<T>(Func<CatalogContext, Task<T>> write, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            for (int attempt = 1; ; attempt++)
            {
                try
                {
                    await using IDbContextTransaction transaction = await context.Database.BeginTransactionAsync(cancellationToken);
                    await access.LockAsync(context, alone: false, cancellationToken);
                    T result = await write(context);
                    await transaction.CommitAsync(cancellationToken);
                    return result;
                }
                catch (DbUpdateException e) when (attempt < Attempts && ImageCatalog.IsCollision(e))
                {
                    context.ChangeTracker.Clear();
                }
            }
        },
        cancellationToken);

    private static async Task PruneAsync(CatalogContext context, ReportedTrace trace, CancellationToken cancellationToken)
    {
        (Digest image, string account) = (trace.Trace.Image, trace.Account);
        var kept = await context.Traces.Where(t => t.Image == image && t.Account == account)
            .OrderByDescending(t => t.StartedAt).ThenBy(t => t.Id).Select(t => new { t.Id, t.Worker }).ToListAsync(cancellationToken);
        string[] going =
        [
            .. kept.Where(t => t.Worker == trace.Worker).Skip(TraceMerge.MaxTracesOfWorker).Select(t => t.Id),
            .. kept.Skip(TraceMerge.MaxTracesOfAccount).Select(t => t.Id),
        ];
        if (going.Length > 0)
        {
            await context.Traces.Where(t => going.Contains(t.Id)).ExecuteDeleteAsync(cancellationToken);
        }
    }

    private static TraceRow ToRow(ReportedTrace trace, string id) => new()
    {
        Id = id,
        Image = trace.Trace.Image,
        Account = trace.Account,
        Worker = trace.Worker,
        Source = trace.Trace.Source.ToString(),
        Group = trace.Trace.Group?.Name,
        Run = trace.Trace.Group?.Run.ToString(),
        GroupOffset = trace.Trace.Group is { } group ? TraceCodec.Microseconds(group.Offset) : null,
        StartedAt = trace.Trace.StartedAt,
        Opens = TraceCodec.Encode(trace.Trace.Opens),
    };

    /// <summary>Null for a row that somebody has put there by hand and that is no trace.</summary>
    private static ReportedTrace? FromRow(TraceRow row) =>
        Guid.TryParse(row.Id, out Guid id)
        && Enum.TryParse(row.Source, out TraceSource source)
        && Trace.Create(
            id,
            row.Image,
            source,
            row.Group is not null && Guid.TryParse(row.Run, out Guid run) ? new TraceGroup(row.Group, run, TimeSpan.FromMicroseconds(row.GroupOffset ?? 0)) : null,
            row.StartedAt,
            TraceCodec.Decode(row.Opens),
            now: row.StartedAt) is { IsSuccess: true } trace
            ? new ReportedTrace(row.Account, row.Worker, trace.Value)
            : null;

    private static LearnedOrderRow ToRow(Digest image, IndexedOrder order) => new()
    {
        Image = image,
        Name = order.Name(),
        Revision = order.Revision,
        Order = Packed.Pack(MemoryMarshal.AsBytes<int>(order.Order.ToArray())),
        HotCount = order.HotCount,
        Moments = Packed.Pack(MemoryMarshal.AsBytes<long>(order.Moments.ToArray())),
        Groups = TraceCodec.EncodeGroups(order.Groups),
        Traces = order.Traces,
        InheritedFrom = order.InheritedFrom,
    };
}
