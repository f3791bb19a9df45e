using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Persistence;

/// <summary>The tables of <see cref="SchemaMigrations"/> as EF Core sees them: one model for both databases.</summary>
internal sealed class CatalogContext(DbContextOptions<CatalogContext> options) : DbContext(options)
{
    public DbSet<LayerRow> Layers => Set<LayerRow>();

    public DbSet<ImageRow> Images => Set<ImageRow>();

    public DbSet<LayerPartRow> LayerParts => Set<LayerPartRow>();

    public DbSet<ImagePartRow> ImageParts => Set<ImagePartRow>();

    public DbSet<ImageLayerRow> ImageLayers => Set<ImageLayerRow>();

    public DbSet<ImageOriginRow> Origins => Set<ImageOriginRow>();

    public DbSet<LayerOriginRow> LayerOrigins => Set<LayerOriginRow>();

    public DbSet<IndexRow> Indexes => Set<IndexRow>();

    public DbSet<IndexImageRow> IndexImages => Set<IndexImageRow>();

    public DbSet<TagRow> Tags => Set<TagRow>();

    public DbSet<ScanJobRow> ScanJobs => Set<ScanJobRow>();

    public DbSet<TraceRow> Traces => Set<TraceRow>();

    public DbSet<LearnedOrderRow> LearnedOrders => Set<LearnedOrderRow>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        configurationBuilder.Properties<Digest>().HaveConversion<DigestConverter>();

        // SQLite can neither order nor compare DateTimeOffset; a number means the same in both databases.
        configurationBuilder.Properties<DateTimeOffset>().HaveConversion<UnixTimeConverter>();
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        ScanJobRow.Configure(modelBuilder);
        TraceRow.Configure(modelBuilder);
        LearnedOrderRow.Configure(modelBuilder);
        Parts.Configure(modelBuilder);
        modelBuilder.Entity<LayerRow>(row =>
        {
            row.ToTable("layers").HasKey(r => r.Digest);
            row.Property(r => r.Digest).HasColumnName("digest");
            row.Property(r => r.DiffId).HasColumnName("diff_id");
            row.Property(r => r.Size).HasColumnName("size");
            row.Property(r => r.UncompressedSize).HasColumnName("uncompressed_size");
            row.Property(r => r.IsEStargz).HasColumnName("is_estargz");
            row.Property(r => r.Index).HasColumnName("entries");
            row.Property(r => r.Members).HasColumnName("members");
            row.Property(r => r.IndexedAt).HasColumnName("indexed_at");
        });
        modelBuilder.Entity<ImageRow>(row =>
        {
            row.ToTable("images").HasKey(r => r.Digest);
            row.Property(r => r.Digest).HasColumnName("digest");
            row.Property(r => r.Platform).HasColumnName("platform");
            row.Property(r => r.MediaType).HasColumnName("media_type");
            row.Property(r => r.Manifest).HasColumnName("manifest");
            row.Property(r => r.Config).HasColumnName("config");
            row.Property(r => r.FilesystemDigest).HasColumnName("filesystem_digest");
            row.Property(r => r.Unit).HasColumnName("unit");
            row.Property(r => r.Order).HasColumnName("content_order");
            row.Property(r => r.HotCount).HasColumnName("hot_count");
            row.Property(r => r.FileCount).HasColumnName("file_count");
            row.Property(r => r.ContentBytes).HasColumnName("content_bytes");
            row.Property(r => r.IndexedAt).HasColumnName("indexed_at");
            row.Property(r => r.UsedAt).HasColumnName("used_at");
            row.Property(r => r.TraceRevision).HasColumnName("trace_revision");
            row.HasMany(r => r.Layers).WithOne().HasForeignKey(l => l.Image);
        });
        modelBuilder.Entity<ImageLayerRow>(row =>
        {
            row.ToTable("image_layers").HasKey(r => new { r.Image, r.Position });
            row.Property(r => r.Image).HasColumnName("image");
            row.Property(r => r.Position).HasColumnName("position");
            row.Property(r => r.Layer).HasColumnName("layer");
            row.HasOne<LayerRow>().WithMany().HasForeignKey(r => r.Layer);
        });
        modelBuilder.Entity<ImageOriginRow>(row =>
        {
            row.ToTable("image_origins").HasKey(r => new { r.Image, r.Registry, r.Repository });
            row.Property(r => r.Image).HasColumnName("image");
            row.Property(r => r.Registry).HasColumnName("registry");
            row.Property(r => r.Repository).HasColumnName("repository");
            row.Property(r => r.Insecure).HasColumnName("insecure");
            row.Property(r => r.IsRoot).HasColumnName("is_root");
            row.Property(r => r.NotifiedAt).HasColumnName("notified_at");
            row.HasOne<ImageRow>().WithMany().HasForeignKey(r => r.Image);
        });
        modelBuilder.Entity<LayerOriginRow>(row =>
        {
            row.ToTable("layer_origins").HasKey(r => new { r.Layer, r.Registry, r.Repository });
            row.Property(r => r.Layer).HasColumnName("layer");
            row.Property(r => r.Registry).HasColumnName("registry");
            row.Property(r => r.Repository).HasColumnName("repository");
            row.HasOne<LayerRow>().WithMany().HasForeignKey(r => r.Layer);
        });
        modelBuilder.Entity<IndexRow>(row =>
        {
            row.ToTable("indexes").HasKey(r => r.Digest);
            row.Property(r => r.Digest).HasColumnName("digest");
            row.Property(r => r.MediaType).HasColumnName("media_type");
            row.Property(r => r.Raw).HasColumnName("raw");
        });
        modelBuilder.Entity<IndexImageRow>(row =>
        {
            row.ToTable("index_images").HasKey(r => new { r.Index, r.Platform });
            row.Property(r => r.Index).HasColumnName("index_digest");
            row.Property(r => r.Platform).HasColumnName("platform");
            row.Property(r => r.Image).HasColumnName("image");
            row.HasOne<IndexRow>().WithMany().HasForeignKey(r => r.Index);
            row.HasOne<ImageRow>().WithMany().HasForeignKey(r => r.Image);
        });
        modelBuilder.Entity<TagRow>(row =>
        {
            row.ToTable("tags").HasKey(r => new { r.Registry, r.Repository, r.Tag, r.Platform });
            row.Property(r => r.Registry).HasColumnName("registry");
            row.Property(r => r.Repository).HasColumnName("repository");
            row.Property(r => r.Tag).HasColumnName("tag");
            row.Property(r => r.Platform).HasColumnName("platform");
            row.Property(r => r.Image).HasColumnName("image");
            row.Property(r => r.Index).HasColumnName("index_digest");
            row.Property(r => r.NotifiedAt).HasColumnName("notified_at");
            row.HasOne<ImageRow>().WithMany().HasForeignKey(r => r.Image);
            row.HasOne<IndexRow>().WithMany().HasForeignKey(r => r.Index);
        });
    }

    /// <summary>As text, so that an operator can read the tables and join them with what registries print.</summary>
    private sealed class DigestConverter() : ValueConverter<Digest, string>(digest => digest.ToString(), text => Digest.Parse(text).Value);

    private sealed class UnixTimeConverter() : ValueConverter<DateTimeOffset, long>(time => time.ToUnixTimeMilliseconds(), milliseconds => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds));
}
