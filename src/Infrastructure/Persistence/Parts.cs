using Microsoft.EntityFrameworkCore;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Persistence;

/// <summary>
/// A piece of a value that is too long for a column: as one parameter and one result it would be in memory two or three times. The column is empty then; the pieces follow each other by number.
/// </summary>
internal abstract class PartRow
{
    /// <summary>Whose value it is.</summary>
    public required Digest Owner { get; init; }

    /// <summary>Name of the column.</summary>
    public required string Value { get; init; }

    /// <summary>From 0.</summary>
    public required int Number { get; init; }

    public required byte[] Bytes { get; init; }
}

internal sealed class LayerPartRow : PartRow
{
    public const string Entries = "entries";

    public const string Members = "members";
}

internal sealed class ImagePartRow : PartRow
{
    public const string Unit = "unit";
}

/// <summary>Reads and writes values in parts, each at its turn and none of them tracked.</summary>
internal static class Parts
{
    /// <summary>Longer values, before compression, are in parts: those of some 80,000 files. Arbitrary.</summary>
    public const int MaxInline = 4 << 20;

    /// <summary>Arrays above 85,000 bytes are not collected before everything else is.</summary>
    public const int Length = 64 << 10;

    private const string InsertOfLayer = "INSERT INTO layer_parts (layer, value, number, bytes) VALUES ({0}, {1}, {2}, {3})";
    private const string InsertOfImage = "INSERT INTO image_parts (image, value, number, bytes) VALUES ({0}, {1}, {2}, {3})";

    public static SchemaMigration Migration(int version) => new(version, "large values in parts",
    [
        """
        CREATE TABLE layer_parts (
            layer             TEXT     NOT NULL REFERENCES layers (digest) ON DELETE CASCADE,
            value             TEXT     NOT NULL,
            number            INTEGER  NOT NULL,
            bytes             {blob}   NOT NULL,
            PRIMARY KEY (layer, value, number))
        """,
        """
        CREATE TABLE image_parts (
            image             TEXT     NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
            value             TEXT     NOT NULL,
            number            INTEGER  NOT NULL,
            bytes             {blob}   NOT NULL,
            PRIMARY KEY (image, value, number))
        """,
    ]);

    public static void Configure(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<LayerPartRow>(row =>
        {
            row.ToTable("layer_parts").HasKey(r => new { r.Owner, r.Value, r.Number });
            row.Property(r => r.Owner).HasColumnName("layer");
            row.Property(r => r.Value).HasColumnName("value");
            row.Property(r => r.Number).HasColumnName("number");
            row.Property(r => r.Bytes).HasColumnName("bytes");
        });
        modelBuilder.Entity<ImagePartRow>(row =>
        {
            row.ToTable("image_parts").HasKey(r => new { r.Owner, r.Value, r.Number });
            row.Property(r => r.Owner).HasColumnName("image");
            row.Property(r => r.Value).HasColumnName("value");
            row.Property(r => r.Number).HasColumnName("number");
            row.Property(r => r.Bytes).HasColumnName("bytes");
        });
    }

    /// <summary>Writes them in the transaction that is open; their owner must be in the database.</summary>
    public static Task WriteLayerAsync(CatalogContext context, Digest layer, string value, IEnumerable<byte[]> parts, CancellationToken cancellationToken) =>
        WriteAsync(context, InsertOfLayer, layer, value, parts, cancellationToken);

    /// <inheritdoc cref="WriteLayerAsync"/>
    public static Task WriteImageAsync(CatalogContext context, Digest image, string value, IEnumerable<byte[]> parts, CancellationToken cancellationToken) =>
        WriteAsync(context, InsertOfImage, image, value, parts, cancellationToken);

    public static IAsyncEnumerable<byte[]> ReadAsync(IQueryable<PartRow> rows, Digest owner, string value) =>
        rows.AsNoTracking().Where(r => r.Owner == owner && r.Value == value).OrderBy(r => r.Number).Select(r => r.Bytes).AsAsyncEnumerable();

    /// <summary>All of them in one array; null if there are none, or if they were removed meanwhile.</summary>
    public static async Task<byte[]?> ReadAllAsync(IQueryable<PartRow> rows, Digest owner, string value, CancellationToken cancellationToken)
    {
        long length = await rows.Where(r => r.Owner == owner && r.Value == value).SumAsync(r => (long)r.Bytes.Length, cancellationToken);
        byte[] all = GC.AllocateUninitializedArray<byte>(checked((int)length));
        int at = 0;
        await foreach (byte[] part in ReadAsync(rows, owner, value).WithCancellation(cancellationToken))
        {
            if (part.Length > all.Length - at)
            {
                return null;
            }

            part.CopyTo(all, at);
            at += part.Length;
        }

        return at == all.Length && at > 0 ? all : null;
    }

    public static IEnumerable<byte[]> Cut(ReadOnlyMemory<byte> value)
    {
        for (int at = 0; at < value.Length; at += Length)
        {
            yield return value.Slice(at, Math.Min(Length, value.Length - at)).ToArray();
        }
    }

    private static async Task WriteAsync(CatalogContext context, string insert, Digest owner, string value, IEnumerable<byte[]> parts, CancellationToken cancellationToken)
    {
        int number = 0;
        foreach (byte[] part in parts)
        {
            await context.Database.ExecuteSqlRawAsync(insert, [owner.ToString(), value, number++, part], cancellationToken);
        }
    }
}
