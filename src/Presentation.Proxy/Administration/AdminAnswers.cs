using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Maintenance;

namespace Starlight.Presentation.Proxy.Administration;

// The JSON forms of what Application/Maintenance returns; sizes in bytes, times in UTC.

internal sealed record AdminImages(IReadOnlyList<AdminImage> Images)
{
    public static AdminImages Of(IReadOnlyList<CatalogImage> images) => new([.. images.Select(AdminImage.Of)]);
}

internal sealed record AdminImage(
    string Digest, string Platform, IReadOnlyList<string> Names, int Layers, long Size, int Files, long ContentBytes, DateTimeOffset IndexedAt, DateTimeOffset UsedAt)
{
    public static AdminImage Of(CatalogImage image) => new(
        image.Digest.ToString(), image.Platform.ToString(), image.Names, image.Layers, image.Size, image.Files, image.ContentBytes, image.IndexedAt, image.UsedAt);
}

internal sealed record AdminDetails(IReadOnlyList<AdminImageDetails> Images)
{
    public static AdminDetails Of(IReadOnlyList<CatalogImageDetails> images) => new([.. images.Select(AdminImageDetails.Of)]);
}

internal sealed record AdminImageDetails(AdminImage Image, string FilesystemDigest, IReadOnlyList<AdminLayer> Layers, IReadOnlyList<string> Repositories)
{
    public static AdminImageDetails Of(CatalogImageDetails details) => new(
        AdminImage.Of(details.Image),
        details.FilesystemDigest.ToString(),
        [.. details.Layers.Select(l => new AdminLayer(l.Digest.ToString(), l.Size, l.IsEStargz, l.HasMembers))],
        [.. details.Origins.Select(o => $"{o.Registry}/{o.Repository}")]);
}

internal sealed record AdminLayer(string Digest, long Size, bool EStargz, bool ReadByMember);

internal sealed record AdminRemoval(int Tags, int Images, int Layers, int Indexes)
{
    public static AdminRemoval Of(CatalogRemoval removal) => new(removal.Tags, removal.Images, removal.Layers, removal.Indexes);
}

internal sealed record AdminGarbage(AdminRemoval Catalog, long Contents, long ContentBytes, int Bundles, long BundleBytes)
{
    public static AdminGarbage Of(CollectedGarbage garbage) => new(AdminRemoval.Of(garbage.Catalog), garbage.Contents, garbage.ContentBytes, garbage.Bundles, garbage.BundleBytes);
}

/// <param name="StoreLimit">Null for none.</param>
internal sealed record AdminStatistics(
    bool Degraded, string? CatalogFault, long? Tags, long? Images, long? Layers, long? Indexes, long Contents, long ContentBytes, long? StoreLimit, long Evicted, int Bundles, long BundleBytes, int BundlesBuilding)
{
    public static AdminStatistics Of(ProxyStatistics statistics) => new(
        statistics.Catalog is null,
        statistics.CatalogFault,
        statistics.Catalog?.Tags,
        statistics.Catalog?.Images,
        statistics.Catalog?.Layers,
        statistics.Catalog?.Indexes,
        statistics.Contents.Contents,
        statistics.Contents.Bytes,
        statistics.Contents.Limit == long.MaxValue ? null : statistics.Contents.Limit,
        statistics.Contents.Evicted,
        statistics.Bundles,
        statistics.BundleBytes,
        statistics.BundlesBuilding);
}
