using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Snapshots;

/// <summary>
/// The snapshot records in one SQLite file, <c>ROOT/snapshots.db</c>, spoken to directly (ADR 0008 says why not through EF). With a write-ahead log a commit is one append:
/// <c>synchronous=FULL</c> also waits for the disk (<see cref="WriteDurability.PowerLoss"/>), <c>NORMAL</c> leaves that to the kernel. A lock file keeps a second daemon off the
/// root; the kernel frees it when the process dies.
/// </summary>
internal sealed class SqliteSnapshotStore : ISnapshotStore, IAsyncDisposable
{
    private const string DatabaseName = "snapshots.db";
    private const string LockName = "snapshots.lock";

    /// <summary>How long a connection waits for another's lock, in ms. Only a checkpoint or an administrator's sqlite3 shell can hold one; arbitrary.</summary>
    private const int BusyTimeout = 5000;

    private readonly string _path;
    private readonly FileStream _lock;
    private readonly SnapshotSession _writer;

    /// <summary>Held by the one writer.</summary>
    private readonly SemaphoreSlim _writing = new(1);

    /// <summary>Idle reading connections. A reader takes one or opens one, and puts it back.</summary>
    private readonly ConcurrentBag<SnapshotSession> _readers = [];

    /// <summary>What the writing connection is set to. Changed by the one writer.</summary>
    private WriteDurability _durability = WriteDurability.PowerLoss;

    private bool _disposed;

    private SqliteSnapshotStore(string path, FileStream @lock, SnapshotSession writer) => (_path, _lock, _writer) = (path, @lock, writer);

    /// <summary>
    /// Opens the store below <paramref name="root"/>, which must exist, and creates it if it is not there. Fails with FailedPrecondition (another daemon has it), Unsupported (written
    /// by a newer daemon), DataCorrupt (not a database), Internal (disk).
    /// </summary>
    /// <param name="root">The lock against a second daemon is here.</param>
    /// <param name="database">Path of the database; null for <c>snapshots.db</c> below <paramref name="root"/>. Its directory must exist.</param>
    /// <exception cref="FailureException"/>
    public static SqliteSnapshotStore Open(string root, string? database = null)
    {
        FileStream @lock = TakeLock(Path.Combine(root, LockName));
        try
        {
            string path = database ?? Path.Combine(root, DatabaseName);
            SnapshotSession writer = Connect(path, writable: true);
            return new SqliteSnapshotStore(path, @lock, writer);
        }
        catch (SqliteException exception)
        {
            @lock.Dispose();
            throw SnapshotStoreErrors.Of(exception, root);
        }
        catch
        {
            @lock.Dispose();
            throw;
        }
    }

    public T Read<T>(Func<ISnapshotReader, T> query)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        try
        {
            SnapshotSession session = _readers.TryTake(out SnapshotSession? idle) ? idle : Connect(_path, writable: false);
            bool usable = false;
            try
            {
                session.Execute("BEGIN");
                T result = query(session);
                session.Execute("COMMIT");
                usable = true;
                return result;
            }
            finally
            {
                Return(session, usable);
            }
        }
        catch (SqliteException exception)
        {
            throw SnapshotStoreErrors.Of(exception, _path);
        }
    }

    public async Task<Result<T>> WriteAsync<T>(
        WriteDurability durability, Func<ISnapshotWriter, Result<T>> change, Action<T>? committed, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            SetDurability(durability);
            Result<T> result = WriteNow(change);
            if (result.IsSuccess)
            {
                committed?.Invoke(result.Value);
            }

            return result;
        }
        catch (SqliteException exception)
        {
            throw SnapshotStoreErrors.Of(exception, _path);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Closes the file after the running write. Can be called again.</summary>
    public async ValueTask DisposeAsync()
    {
        await _writing.WaitAsync();
        try
        {
            if (_disposed)
            {
                return;
            }

            Volatile.Write(ref _disposed, true);
            while (_readers.TryTake(out SnapshotSession? reader))
            {
                reader.Dispose();
            }

            _writer.Dispose();
            _lock.Dispose();
        }
        finally
        {
            _writing.Release();
        }
    }

    private void SetDurability(WriteDurability durability)
    {
        if (_durability != durability)
        {
            _writer.Execute(durability == WriteDurability.PowerLoss ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
            _durability = durability;
        }
    }

    private Result<T> WriteNow<T>(Func<ISnapshotWriter, Result<T>> change)
    {
        // IMMEDIATE: the lock is taken now, not at the first write, where SQLite could no longer wait for it.
        _writer.Execute("BEGIN IMMEDIATE");
        bool done = false;
        try
        {
            Result<T> result = change(_writer);
            if (result.IsSuccess)
            {
                _writer.Execute("COMMIT");
                done = true;
            }

            return result;
        }
        finally
        {
            if (!done)
            {
                Rollback();
            }
        }
    }

    private void Rollback()
    {
        try
        {
            _writer.Execute("ROLLBACK");
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode == SQLitePCL.raw.SQLITE_ERROR)
        {
            // Severe faults (disk full, I/O error) have rolled back already: "no transaction is active". The fault itself is on its way up.
        }
    }

    private void Return(SnapshotSession session, bool usable)
    {
        if (usable && !Volatile.Read(ref _disposed))
        {
            _readers.Add(session);
        }
        else
        {
            session.Dispose();
        }
    }

    private static FileStream TakeLock(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (exception is not (DirectoryNotFoundException or FileNotFoundException))
        {
            throw new FailureException(SnapshotStoreErrors.InUse(path), exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(SnapshotStoreErrors.Unusable(path, exception.Message), exception);
        }
    }

    private static SnapshotSession Connect(string path, bool writable)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = writable ? SqliteOpenMode.ReadWriteCreate : SqliteOpenMode.ReadWrite,
            Pooling = false,
        }.ToString());
        try
        {
            connection.Open();
            Run(connection, $"PRAGMA busy_timeout = {BusyTimeout}; PRAGMA foreign_keys = ON;");
            Run(connection, writable ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" : "PRAGMA query_only = ON;");
            if (writable)
            {
                Migrate(connection, path);
            }

            return new SnapshotSession(connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static void Migrate(SqliteConnection connection, string path)
    {
        using SqliteTransaction transaction = connection.BeginTransaction();
        using SqliteCommand read = connection.CreateCommand();
        read.CommandText = "PRAGMA user_version";
        long version = (long)read.ExecuteScalar()!;
        if (version > SnapshotSql.SchemaVersion)
        {
            throw new FailureException(SnapshotStoreErrors.TooNew(path, version));
        }

        if (version == 0)
        {
            Run(connection, SnapshotSql.CreateSchema);
        }

        transaction.Commit();
    }

    private static void Run(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
