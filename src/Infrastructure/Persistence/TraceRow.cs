using Microsoft.EntityFrameworkCore;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Persistence;

/// <summary>One trace of an image.</summary>
internal sealed class TraceRow
{
    /// <summary>Given by the worker.</summary>
    public required string Id { get; init; }

    public required Digest Image { get; init; }

    public required string Account { get; init; }

    public required string Worker { get; init; }

    public required string Source { get; init; }

    /// <summary>Null if it was traced alone; so are the two below.</summary>
    public required string? Group { get; init; }

    public required string? Run { get; init; }

    /// <summary>Microseconds.</summary>
    public required long? GroupOffset { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary><see cref="TraceCodec"/>, one zstd frame.</summary>
    public required byte[] Opens { get; init; }

    public static void Configure(ModelBuilder modelBuilder) => modelBuilder.Entity<TraceRow>(row =>
    {
        row.ToTable("traces").HasKey(r => r.Id);
        row.Property(r => r.Id).HasColumnName("id");
        row.Property(r => r.Image).HasColumnName("image");
        row.Property(r => r.Account).HasColumnName("account");
        row.Property(r => r.Worker).HasColumnName("worker");
        row.Property(r => r.Source).HasColumnName("source");
        row.Property(r => r.Group).HasColumnName("group_name");
        row.Property(r => r.Run).HasColumnName("group_run");
        row.Property(r => r.GroupOffset).HasColumnName("group_offset");
        row.Property(r => r.StartedAt).HasColumnName("started_at");
        row.Property(r => r.Opens).HasColumnName("opens");
        row.HasOne<ImageRow>().WithMany().HasForeignKey(r => r.Image);
    });
}

/// <summary>The order that an image's traces have taught.</summary>
internal sealed class LearnedOrderRow
{
    public required Digest Image { get; init; }

    /// <summary>What the order is called, see <see cref="Domain.Catalog.IndexedOrder.Name"/>.</summary>
    public required Digest Name { get; set; }

    public required long Revision { get; set; }

    /// <summary>Little-endian 32-bit indexes, one zstd frame.</summary>
    public required byte[] Order { get; set; }

    public required int HotCount { get; set; }

    /// <summary>Little-endian 64-bit microseconds, one zstd frame.</summary>
    public required byte[] Moments { get; set; }

    /// <summary>A line per group: name, '=', ticks of the offset.</summary>
    public required string Groups { get; set; }

    public required int Traces { get; set; }

    public required Digest? InheritedFrom { get; set; }

    public static void Configure(ModelBuilder modelBuilder) => modelBuilder.Entity<LearnedOrderRow>(row =>
    {
        row.ToTable("learned_orders").HasKey(r => r.Image);
        row.Property(r => r.Image).HasColumnName("image");
        row.Property(r => r.Name).HasColumnName("name");
        row.Property(r => r.Revision).HasColumnName("revision");
        row.Property(r => r.Order).HasColumnName("content_order");
        row.Property(r => r.HotCount).HasColumnName("hot_count");
        row.Property(r => r.Moments).HasColumnName("moments");
        row.Property(r => r.Groups).HasColumnName("groups");
        row.Property(r => r.Traces).HasColumnName("traces");
        row.Property(r => r.InheritedFrom).HasColumnName("inherited_from");
        row.HasOne<ImageRow>().WithMany().HasForeignKey(r => r.Image);
    });
}

internal static class TraceSchema
{
    /// <summary>A trace goes with its image. What an order was inherited from may go: the order stays.</summary>
    public static SchemaMigration Migration(int version) => new(version, "traces and learned orders",
    [
        "ALTER TABLE images ADD COLUMN trace_revision {bigint} NOT NULL DEFAULT 0",
        """
        CREATE TABLE traces (
            id                TEXT     NOT NULL PRIMARY KEY,
            image             TEXT     NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
            account           TEXT     NOT NULL,
            worker            TEXT     NOT NULL,
            source            TEXT     NOT NULL,
            group_name        TEXT     NULL,
            group_run         TEXT     NULL,
            group_offset      {bigint} NULL,
            started_at        {bigint} NOT NULL,
            opens             {blob}   NOT NULL)
        """,
        "CREATE INDEX traces_by_image ON traces (image)",
        """
        CREATE TABLE learned_orders (
            image             TEXT     NOT NULL PRIMARY KEY REFERENCES images (digest) ON DELETE CASCADE,
            name              TEXT     NOT NULL,
            revision          {bigint} NOT NULL,
            content_order     {blob}   NOT NULL,
            hot_count         INTEGER  NOT NULL,
            moments           {blob}   NOT NULL,
            groups            TEXT     NOT NULL,
            traces            INTEGER  NOT NULL,
            inherited_from    TEXT     NULL)
        """,
    ]);
}
