using Microsoft.EntityFrameworkCore;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Persistence;

/// <summary>One job of the scanner; the rules live in Domain/Scanning.</summary>
internal sealed class ScanJobRow
{
    public required string Source { get; init; }

    /// <summary>Empty to index the source: a primary key has no nulls.</summary>
    public required string Destination { get; init; }

    /// <summary>Separated by commas; empty for all.</summary>
    public required string Platforms { get; init; }

    public required string Rule { get; init; }

    public required Digest Pushed { get; init; }

    public required bool IsPushedAgain { get; init; }

    public required string State { get; init; }

    public required string? Stage { get; init; }

    public required int Percent { get; init; }

    public required int Attempts { get; init; }

    public required DateTimeOffset NotBefore { get; init; }

    public required string? Owner { get; init; }

    public required DateTimeOffset? LeaseUntil { get; init; }

    public required DateTimeOffset QueuedAt { get; init; }

    public required DateTimeOffset? StartedAt { get; init; }

    public required DateTimeOffset? FinishedAt { get; init; }

    public required string? ErrorCode { get; init; }

    public required string? ErrorKind { get; init; }

    public required string? ErrorMessage { get; init; }

    public required Digest? Result { get; init; }

    /// <summary>Whoever changes a row says which version they have seen.</summary>
    public required long Version { get; init; }

    public static void Configure(ModelBuilder modelBuilder) => modelBuilder.Entity<ScanJobRow>(row =>
    {
        row.ToTable("scan_jobs").HasKey(r => new { r.Source, r.Destination });
        row.Property(r => r.Source).HasColumnName("source");
        row.Property(r => r.Destination).HasColumnName("destination");
        row.Property(r => r.Platforms).HasColumnName("platforms");
        row.Property(r => r.Rule).HasColumnName("rule");
        row.Property(r => r.Pushed).HasColumnName("pushed_digest");
        row.Property(r => r.IsPushedAgain).HasColumnName("pushed_again");
        row.Property(r => r.State).HasColumnName("state");
        row.Property(r => r.Stage).HasColumnName("stage");
        row.Property(r => r.Percent).HasColumnName("percent");
        row.Property(r => r.Attempts).HasColumnName("attempts");
        row.Property(r => r.NotBefore).HasColumnName("not_before");
        row.Property(r => r.Owner).HasColumnName("owner");
        row.Property(r => r.LeaseUntil).HasColumnName("lease_until");
        row.Property(r => r.QueuedAt).HasColumnName("queued_at");
        row.Property(r => r.StartedAt).HasColumnName("started_at");
        row.Property(r => r.FinishedAt).HasColumnName("finished_at");
        row.Property(r => r.ErrorCode).HasColumnName("error_code");
        row.Property(r => r.ErrorKind).HasColumnName("error_kind");
        row.Property(r => r.ErrorMessage).HasColumnName("error_message");
        row.Property(r => r.Result).HasColumnName("result_digest");
        row.Property(r => r.Version).HasColumnName("version").IsConcurrencyToken();
    });
}

internal static class ScanJobSchema
{
    public static SchemaMigration Migration(int version) => new(version, "jobs of the scanner",
    [
        """
        CREATE TABLE scan_jobs (
            source            TEXT     NOT NULL,
            destination       TEXT     NOT NULL,
            platforms         TEXT     NOT NULL,
            rule              TEXT     NOT NULL,
            pushed_digest     TEXT     NOT NULL,
            pushed_again      {bool}   NOT NULL,
            state             TEXT     NOT NULL,
            stage             TEXT     NULL,
            percent           INTEGER  NOT NULL,
            attempts          INTEGER  NOT NULL,
            not_before        {bigint} NOT NULL,
            owner             TEXT     NULL,
            lease_until       {bigint} NULL,
            queued_at         {bigint} NOT NULL,
            started_at        {bigint} NULL,
            finished_at       {bigint} NULL,
            error_code        TEXT     NULL,
            error_kind        TEXT     NULL,
            error_message     TEXT     NULL,
            result_digest     TEXT     NULL,
            version           {bigint} NOT NULL,
            PRIMARY KEY (source, destination))
        """,
        "CREATE INDEX scan_jobs_by_state ON scan_jobs (state, not_before)",
        "CREATE INDEX scan_jobs_by_time ON scan_jobs (queued_at)",
    ]);
}
