using Microsoft.Data.Sqlite;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Snapshots;

internal static class SnapshotStoreErrors
{
    public static Error InUse(string path) =>
        new("SnapshotStore.InUse", $"{path} is locked: another Starlight daemon uses this directory; stop it or give this one another root", ErrorKind.FailedPrecondition);

    public static Error Unusable(string path, string reason) =>
        new("SnapshotStore.Unusable", $"cannot open {path}: {reason}", ErrorKind.Internal);

    public static Error TooNew(string path, long version) =>
        new("SnapshotStore.TooNew", $"{path} has schema version {version}, this daemon knows up to {SnapshotSql.SchemaVersion}: install the newer daemon again", ErrorKind.Unsupported);

    /// <summary>What SQLite reports, as one of our kinds (sqlite.org/rescode.html).</summary>
    public static FailureException Of(SqliteException exception, string path) => new(
        exception.SqliteErrorCode switch
        {
            SQLitePCL.raw.SQLITE_FULL => new Error("SnapshotStore.DiskFull", $"no space left for {path}: free some", ErrorKind.ResourceExhausted),
            SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB =>
                new Error("SnapshotStore.Corrupt", $"{path} is damaged ({exception.Message}): restore it or start with an empty root", ErrorKind.DataCorrupt),
            SQLitePCL.raw.SQLITE_BUSY or SQLitePCL.raw.SQLITE_LOCKED =>
                new Error("SnapshotStore.Busy", $"{path} is locked by another process: close it there", ErrorKind.Unavailable),
            _ => new Error("SnapshotStore.Failed", $"{path}: {exception.Message}", ErrorKind.Internal),
        },
        exception);
}
