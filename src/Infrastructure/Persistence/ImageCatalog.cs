using System.Buffers;
using System.Data.Common;
using System.Runtime.InteropServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Persistence;

internal sealed class ImageCatalog(CatalogAccess access, Spool spool, TimeProvider time) : IImageCatalog
{
    /// <summary>Two proxies that learn the same layer at the same moment collide at most once per row set; more attempts mean another fault.</summary>
    private const int Attempts = 4;

    public Task<IndexedImage?> FindImageAsync(Digest manifest, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            // First, so that asking for an image that is not there makes every query ready (CatalogStartup). A later one is on the shelf under its own name.
            LearnedOrderRow? learned = await context.LearnedOrders.AsNoTracking().FirstOrDefaultAsync(o => o.Image == manifest, cancellationToken);

            // In two queries: joined, the megabytes of the image would come once for each layer. Neither ever changes.
            ImageRow? row = await context.Images.AsNoTracking().Include(i => i.Layers).AsSplitQuery().FirstOrDefaultAsync(i => i.Digest == manifest, cancellationToken);
            if (row is null)
            {
                return null;
            }

            byte[]? unit = row.Unit.Length > 0 ? row.Unit : await Parts.ReadAllAsync(context.ImageParts, manifest, ImagePartRow.Unit, cancellationToken);

            // Its parts were read after it: somebody may have removed them with the image in between.
            return unit is null && !await context.Images.AnyAsync(i => i.Digest == manifest, cancellationToken) ? null : FromRow(row, unit ?? [], learned);
        },
        cancellationToken);

    public Task<IndexedLayer?> FindLayerAsync(Digest blob, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            LayerRow? row = await context.Layers.AsNoTracking().FirstOrDefaultAsync(l => l.Digest == blob, cancellationToken);
            return row is null ? null : new IndexedLayer(row.Digest, row.DiffId, row.Size, row.UncompressedSize, row.IsEStargz, row.Index.Length == 0 ? default(ReadOnlyMemory<byte>) : Packed.Unpack(row.Index))
            {
                Members = row.Members is null or [] ? default(ReadOnlyMemory<byte>) : Packed.Unpack(row.Members),
            };
        },
        cancellationToken);

    public async Task<LayerIndex> OpenIndexAsync(IndexedLayer layer, CancellationToken cancellationToken) => !layer.IsLarge
        ? new LayerIndex(layer.Index, layer.Members)
        : await access.RunAsync(
            async context =>
            {
                try
                {
                    return await OpenIndexAsync(context, layer, cancellationToken);
                }
                catch (FailureException e) when (e.Error.Kind == ErrorKind.DataCorrupt)
                {
                    // Parts are read one by one: somebody may have removed them with the layer in between.
                    throw await context.Layers.AnyAsync(l => l.Digest == layer.Digest, cancellationToken) ? e : Collected(layer);
                }
            },
            cancellationToken);

    private async Task<LayerIndex> OpenIndexAsync(CatalogContext context, IndexedLayer layer, CancellationToken cancellationToken)
    {
        var row = await context.Layers.Where(l => l.Digest == layer.Digest).Select(l => new { l.Index, l.Members }).FirstOrDefaultAsync(cancellationToken) ?? throw Collected(layer);
        if (row.Index.Length > 0)
        {
            // Another proxy has stored it, with another idea of what is large.
            return new LayerIndex(Packed.Unpack(row.Index), row.Members is null or [] ? default(ReadOnlyMemory<byte>) : Packed.Unpack(row.Members));
        }

        IMemoryOwner<byte> entries = await Packed.UnpackAsync(Parts.ReadAsync(context.LayerParts, layer.Digest, LayerPartRow.Entries), spool, cancellationToken);
        try
        {
            switch (row.Members)
            {
                case null:
                    return new LayerIndex(entries.Memory, default, entries);
                case { Length: > 0 } packed:
                    return new LayerIndex(entries.Memory, Packed.Unpack(packed), entries);
                default:
                    IMemoryOwner<byte> members = await Packed.UnpackAsync(Parts.ReadAsync(context.LayerParts, layer.Digest, LayerPartRow.Members), spool, cancellationToken);
                    return new LayerIndex(entries.Memory, members.Memory, entries, members);
            }
        }
        catch
        {
            entries.Dispose();
            throw;
        }
    }

    public Task<IReadOnlyList<ImageOrigin>> FindOriginsAsync(Digest manifest, CancellationToken cancellationToken) => access.RunAsync<IReadOnlyList<ImageOrigin>>(
        async context => await context.Origins.AsNoTracking()
            .Where(o => o.Image == manifest)
            .OrderByDescending(o => o.NotifiedAt)
            .Select(o => new ImageOrigin(o.Registry, o.Repository, o.Insecure))
            .ToListAsync(cancellationToken),
        cancellationToken);

    public Task<IReadOnlySet<Digest>> FindLayersFromAsync(IReadOnlyCollection<Digest> layers, string registry, string? repository, CancellationToken cancellationToken) => access.RunAsync<IReadOnlySet<Digest>>(
        async context => (await context.LayerOrigins.AsNoTracking()
            .Where(o => layers.Contains(o.Layer) && o.Registry == registry && (repository == null || o.Repository == repository))
            .Select(o => o.Layer).Distinct().ToListAsync(cancellationToken)).ToHashSet(),
        cancellationToken);

    public async Task<IndexedLayer> RecordLayerAsync(IndexedLayer layer, IReadOnlyList<ReadOnlyMemory<byte>> index, ImageOrigin origin, CancellationToken cancellationToken)
    {
        bool isLarge = index.Sum(i => (long)i.Length) > Parts.MaxInline;
        IndexedLayer recorded = isLarge ? layer with { Index = default, Members = default } : layer with { Index = Join(index) };
        await WriteAsync(
            async context =>
            {
                if (!await context.Layers.AnyAsync(l => l.Digest == layer.Digest, cancellationToken))
                {
                    context.Layers.Add(ToRow(recorded with { Members = layer.Members }, time.GetUtcNow()));
                    if (isLarge)
                    {
                        await context.SaveChangesAsync(cancellationToken);
                        await WritePartsAsync(context, layer, index, cancellationToken);
                    }
                }

                await AddLayerOriginsAsync(context, [layer.Digest], origin.Registry, origin.Repository, cancellationToken);
            },
            cancellationToken);
        return recorded;
    }

    public Task RecordAsync(Notification notification, CancellationToken cancellationToken) =>
        WriteAsync(context => AddAsync(context, notification, cancellationToken), cancellationToken);

    private Task WriteAsync(Func<CatalogContext, Task> add, CancellationToken cancellationToken) => access.RunAsync(
        async context =>
        {
            for (int attempt = 1; ; attempt++)
            {
                try
                {
                    await using IDbContextTransaction transaction = await context.Database.BeginTransactionAsync(cancellationToken);
                    await access.LockAsync(context, alone: false, cancellationToken);
                    await add(context);
                    await context.SaveChangesAsync(cancellationToken);
                    await transaction.CommitAsync(cancellationToken);
                    return true;
                }
                catch (DbUpdateException e) when (attempt < Attempts && IsCollision(e))
                {
                    context.ChangeTracker.Clear();
                }
            }
        },
        cancellationToken);

    private async Task AddAsync(CatalogContext context, Notification notification, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        foreach (IndexedLayer layer in notification.NewLayers.DistinctBy(l => l.Digest))
        {
            if (!await context.Layers.AnyAsync(l => l.Digest == layer.Digest, cancellationToken))
            {
                context.Layers.Add(!layer.IsLarge ? ToRow(layer, now) : throw Collected(layer));
            }
        }

        foreach (IndexedImage image in notification.NewImages.DistinctBy(i => i.Digest))
        {
            if (!await context.Images.AnyAsync(i => i.Digest == image.Digest, cancellationToken))
            {
                context.Images.Add(ToRow(image.Verified()));
                if (image.Unit.Length > Parts.MaxInline)
                {
                    await context.SaveChangesAsync(cancellationToken);
                    await Parts.WriteImageAsync(context, image.Digest, ImagePartRow.Unit, Parts.Cut(image.Unit), cancellationToken);
                }
            }
        }

        if (notification.Index is { } index)
        {
            if (!await context.Indexes.AnyAsync(i => i.Digest == index.Digest, cancellationToken))
            {
                context.Indexes.Add(new IndexRow { Digest = index.Digest, MediaType = index.MediaType, Raw = index.Raw.ToArray() });
            }

            List<IndexImageRow> members = await context.IndexImages.Where(m => m.Index == index.Digest).ToListAsync(cancellationToken);
            foreach (PlatformImage image in notification.Images)
            {
                string platform = image.Platform.ToString();
                if (!members.Exists(m => m.Platform == platform))
                {
                    context.IndexImages.Add(new IndexImageRow { Index = index.Digest, Platform = platform, Image = image.Manifest });
                }
            }
        }

        await AddOriginsAsync(context, notification, now, cancellationToken);
        Digest[] manifests = [.. notification.Images.Select(i => i.Manifest)];
        List<Digest> layers = await context.ImageLayers.Where(l => manifests.Contains(l.Image)).Select(l => l.Layer).ToListAsync(cancellationToken);
        layers.AddRange(notification.NewImages.SelectMany(i => i.Layers));
        await AddLayerOriginsAsync(context, [.. layers.Distinct()], notification.Reference.Registry, notification.Reference.Repository, cancellationToken);
        if (notification.Reference.Tag is { } tag)
        {
            await PointTagAsync(context, notification, tag, now, cancellationToken);
        }
    }

    private static async Task AddLayerOriginsAsync(CatalogContext context, IReadOnlyList<Digest> layers, string registry, string repository, CancellationToken cancellationToken)
    {
        List<Digest> present = await context.LayerOrigins.Where(o => layers.Contains(o.Layer) && o.Registry == registry && o.Repository == repository).Select(o => o.Layer).ToListAsync(cancellationToken);
        context.LayerOrigins.AddRange(layers.Except(present).Select(l => new LayerOriginRow { Layer = l, Registry = registry, Repository = repository }));
    }

    private static async Task AddOriginsAsync(CatalogContext context, Notification notification, DateTimeOffset now, CancellationToken cancellationToken)
    {
        bool isRoot = notification.Reference.Tag is null;
        foreach (Digest image in notification.Images.Select(i => i.Manifest).Distinct())
        {
            (string registry, string repository) = (notification.Reference.Registry, notification.Reference.Repository);
            ImageOriginRow? row = await context.Origins.FirstOrDefaultAsync(o => o.Image == image && o.Registry == registry && o.Repository == repository, cancellationToken);
            if (row is null)
            {
                row = new ImageOriginRow { Image = image, Registry = registry, Repository = repository, Insecure = notification.Insecure, IsRoot = isRoot, NotifiedAt = now };
                context.Origins.Add(row);
            }

            (row.Insecure, row.IsRoot, row.NotifiedAt) = (notification.Insecure, row.IsRoot || isRoot, now);
        }
    }

    /// <summary>
    /// Platforms that the tag stood for under another index or manifest are dropped: they belong to an older image, and serving that one
    /// under the tag would be a silent downgrade.
    /// </summary>
    private static async Task PointTagAsync(CatalogContext context, Notification notification, string tag, DateTimeOffset now, CancellationToken cancellationToken)
    {
        (string registry, string repository) = (notification.Reference.Registry, notification.Reference.Repository);
        Digest? index = notification.Index?.Digest;
        List<TagRow> present = await context.Tags.Where(t => t.Registry == registry && t.Repository == repository && t.Tag == tag).ToListAsync(cancellationToken);
        HashSet<string> platforms = [.. notification.Images.Select(i => i.Platform.ToString())];

        // What the tag leaves can only be asked for by digest from now on: its grace period begins.
        HashSet<Digest> wanted = [.. notification.Images.Select(i => i.Manifest)];
        List<Digest> left = [.. present.Select(t => t.Image).Where(i => !wanted.Contains(i)).Distinct()];
        if (left.Count > 0)
        {
            await context.Images.Where(i => left.Contains(i.Digest)).ExecuteUpdateAsync(set => set.SetProperty(i => i.UsedAt, now), cancellationToken);
        }

        context.Tags.RemoveRange(present.Where(t => !platforms.Contains(t.Platform) && (index is null || t.Index != index)));
        foreach (PlatformImage image in notification.Images)
        {
            string platform = image.Platform.ToString();
            if (present.Find(t => t.Platform == platform) is { } row)
            {
                (row.Image, row.Index, row.NotifiedAt) = (image.Manifest, index, now);
            }
            else
            {
                context.Tags.Add(new TagRow { Registry = registry, Repository = repository, Tag = tag, Platform = platform, Image = image.Manifest, Index = index, NotifiedAt = now });
            }
        }
    }

    /// <summary>Class 23 is "integrity constraint violation" (SQLSTATE; 23505 unique, 23503 foreign key); SQLite says SQLITE_CONSTRAINT, 19.</summary>
    internal static bool IsCollision(DbUpdateException e) => e.InnerException switch
    {
        Microsoft.Data.Sqlite.SqliteException sqlite => sqlite.SqliteErrorCode == 19,
        DbException { SqlState: { } state } => state.StartsWith("23", StringComparison.Ordinal),
        _ => e is DbUpdateConcurrencyException,
    };

    private static async Task WritePartsAsync(CatalogContext context, IndexedLayer layer, IReadOnlyList<ReadOnlyMemory<byte>> index, CancellationToken cancellationToken)
    {
        await Parts.WriteLayerAsync(context, layer.Digest, LayerPartRow.Entries, Packed.PackParts(index), cancellationToken);
        if (IsInParts(layer.Members))
        {
            await Parts.WriteLayerAsync(context, layer.Digest, LayerPartRow.Members, Packed.PackParts([layer.Members]), cancellationToken);
        }
    }

    private static bool IsInParts(ReadOnlyMemory<byte> members) => members.Length > Parts.MaxInline;

    private static byte[] Join(IReadOnlyList<ReadOnlyMemory<byte>> pieces)
    {
        byte[] all = new byte[pieces.Sum(p => p.Length)];
        int at = 0;
        foreach (ReadOnlyMemory<byte> piece in pieces)
        {
            piece.CopyTo(all.AsMemory(at));
            at += piece.Length;
        }

        return all;
    }

    private static FailureException Collected(IndexedLayer layer) =>
        new(new Error("Layer.Collected", $"what was known of the layer {layer.Digest} has been collected meanwhile: notify the image again", ErrorKind.Unavailable));

    private static LayerRow ToRow(IndexedLayer layer, DateTimeOffset now) => new()
    {
        Digest = layer.Digest,
        DiffId = layer.DiffId,
        Size = layer.Size,
        UncompressedSize = layer.UncompressedSize,
        IsEStargz = layer.IsEStargz,
        Index = layer.IsLarge ? [] : Packed.Pack(layer.Index.Span),
        Members = layer.Members.IsEmpty ? null : layer.IsLarge && IsInParts(layer.Members) ? [] : Packed.Pack(layer.Members.Span),
        IndexedAt = now,
    };

    private static ImageRow ToRow(IndexedImage image) => new()
    {
        Digest = image.Digest,
        Platform = image.Platform.ToString(),
        MediaType = image.MediaType,
        Manifest = image.Manifest.ToArray(),
        Config = image.Config.ToArray(),
        FilesystemDigest = image.FilesystemDigest,
        Unit = image.Unit.Length > Parts.MaxInline ? [] : image.Unit.ToArray(),
        Order = Packed.Pack(MemoryMarshal.AsBytes<int>(image.Order.ToArray())),
        HotCount = image.HotCount,
        FileCount = image.FileCount,
        ContentBytes = image.ContentBytes,
        IndexedAt = image.IndexedAt,
        UsedAt = image.IndexedAt,
        Layers = [.. image.Layers.Select((layer, position) => new ImageLayerRow { Image = image.Digest, Position = position, Layer = layer })],
    };

    private static IndexedImage FromRow(ImageRow row, byte[] unit, LearnedOrderRow? learned) => new IndexedImage
    {
        Digest = row.Digest,
        Platform = Platform.Parse(row.Platform).Value,
        MediaType = row.MediaType,
        Manifest = row.Manifest,
        Config = row.Config,
        FilesystemDigest = row.FilesystemDigest,
        Unit = unit,
        Layers = [.. row.Layers.OrderBy(l => l.Position).Select(l => l.Layer)],
        Order = MemoryMarshal.Cast<byte, int>(Packed.Unpack(row.Order)).ToArray(),
        HotCount = row.HotCount,
        FileCount = row.FileCount,
        ContentBytes = row.ContentBytes,
        IndexedAt = row.IndexedAt,
        Learned = learned is null ? null : Traces.FromRow(learned),
    }.Verified();
}
