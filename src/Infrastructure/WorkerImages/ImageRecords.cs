using Microsoft.Data.Sqlite;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>A tree on this worker as it is stored. Images with the same layers share one.</summary>
/// <param name="ChainIds">One per layer, base first; the last names the tree.</param>
/// <param name="FilesystemDigest">Its filesystem image.</param>
/// <param name="Complete">Every content is verified and durable.</param>
/// <param name="CreatedUnixMs">When the first image with this tree was pulled, milliseconds since the epoch.</param>
internal sealed record TreeRecord(IReadOnlyList<Digest> ChainIds, Digest FilesystemDigest, bool Complete, long CreatedUnixMs)
{
    public Digest ChainId => ChainIds[^1];
}

/// <summary>A pulled image: a name, its manifest and its tree, and where to ask for it again.</summary>
internal sealed record ImageRecord(string Reference, Digest ManifestDigest, Digest ChainId, string ProxyProfile, string Platform, long PulledUnixMs);

/// <summary>
/// A chain of layers whose tree Starlight can provide, whether or not it is here: one for every layer of a pulled image. Lives as long as the chain's snapshot.
/// </summary>
/// <param name="ChainId">Names the chain.</param>
/// <param name="Reference">The image it is part of.</param>
/// <param name="ManifestDigest">The same image's manifest.</param>
/// <param name="Layers">How many of the image's lowest layers make up the chain; null for all.</param>
/// <param name="ProxyProfile">Whom to ask.</param>
/// <param name="Platform">For which platform.</param>
internal sealed record ChainRecord(Digest ChainId, string Reference, Digest ManifestDigest, int? Layers, string ProxyProfile, string Platform)
{
    /// <summary>All chains of an image.</summary>
    public static IEnumerable<ChainRecord> AllOf(ImageRecord image, IReadOnlyList<Digest> chainIds) => chainIds.Select((chainId, index) =>
        new ChainRecord(chainId, image.Reference, image.ManifestDigest, index == chainIds.Count - 1 ? null : index + 1, image.ProxyProfile, image.Platform));
}

/// <summary>
/// What the worker knows of its images across restarts, in SQLite (<c>images.db</c>). Small and rarely written: plain SQL without an object mapper, since the daemon's start-up and memory count.
/// A tree's row is written after its filesystem image is on disk and removed before it goes, so a row always has its file. Safe for concurrent use. Every method fails with a <see cref="FailureException"/> if the disk is full or the file damaged.
/// </summary>
internal sealed class ImageRecords : IDisposable
{
    /// <summary>PRAGMA user_version of the schema below.</summary>
    private const int SchemaVersion = 2;

    /// <summary>Since version 2.</summary>
    private const string ChainSchema = """
        CREATE TABLE chain (
          chain_id   TEXT PRIMARY KEY,
          reference  TEXT NOT NULL,
          manifest   TEXT NOT NULL,
          layers     INTEGER,           -- null: all of the image's
          proxy      TEXT NOT NULL,
          platform   TEXT NOT NULL
        ) WITHOUT ROWID;
        """;

    private const string Schema = """
        CREATE TABLE tree (
          chain_id   TEXT PRIMARY KEY,
          chain      TEXT NOT NULL,     -- chain IDs, base first, separated by spaces
          filesystem TEXT NOT NULL,
          complete   INTEGER NOT NULL,
          created    INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE image (
          reference  TEXT NOT NULL,
          manifest   TEXT NOT NULL,
          chain_id   TEXT NOT NULL REFERENCES tree (chain_id) ON DELETE CASCADE,
          proxy      TEXT NOT NULL,
          platform   TEXT NOT NULL,
          pulled     INTEGER NOT NULL,
          PRIMARY KEY (reference, manifest)
        ) WITHOUT ROWID;
        CREATE INDEX image_chain ON image (chain_id);
        """;

    private readonly Lock _lock = new();
    private readonly SqliteConnection _connection;
    private readonly string _path;

    public ImageRecords(string path)
    {
        _path = path;
        _connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        try
        {
            _connection.Open();
            Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
            long version = (long)Scalar("PRAGMA user_version")!;
            if (version == 0)
            {
                Execute($"BEGIN; {Schema} {ChainSchema} PRAGMA user_version = {SchemaVersion}; COMMIT;");
            }
            else if (version == 1)
            {
                AddChainsOfVersion1();
            }
            else if (version != SchemaVersion)
            {
                throw new FailureException(new Error("Images.DatabaseVersion", $"{path} was written by another version of starlight-daemon (schema {version}, this one knows {SchemaVersion})", ErrorKind.Unsupported));
            }
        }
        catch (SqliteException e)
        {
            _connection.Dispose();
            throw Failure(e);
        }
        catch
        {
            _connection.Dispose();
            throw;
        }
    }

    public IReadOnlyList<TreeRecord> Trees()
    {
        return Locked(() =>
        {
            using SqliteCommand command = Command("SELECT chain, filesystem, complete, created FROM tree ORDER BY created");
            using SqliteDataReader row = command.ExecuteReader();
            List<TreeRecord> trees = [];
            while (row.Read())
            {
                trees.Add(new TreeRecord([.. row.GetString(0).Split(' ').Select(Parse)], Parse(row.GetString(1)), row.GetInt64(2) != 0, row.GetInt64(3)));
            }

            return trees;
        });
    }

    /// <summary>All images, the most recently pulled first.</summary>
    public IReadOnlyList<ImageRecord> Images()
    {
        return Locked(() =>
        {
            using SqliteCommand command = Command("SELECT reference, manifest, chain_id, proxy, platform, pulled FROM image ORDER BY pulled DESC, reference");
            using SqliteDataReader row = command.ExecuteReader();
            List<ImageRecord> images = [];
            while (row.Read())
            {
                images.Add(new ImageRecord(row.GetString(0), Parse(row.GetString(1)), Parse(row.GetString(2)), row.GetString(3), row.GetString(4), row.GetInt64(5)));
            }

            return images;
        });
    }

    public IReadOnlyList<ChainRecord> Chains()
    {
        return Locked(() =>
        {
            using SqliteCommand command = Command("SELECT chain_id, reference, manifest, layers, proxy, platform FROM chain");
            using SqliteDataReader row = command.ExecuteReader();
            List<ChainRecord> chains = [];
            while (row.Read())
            {
                chains.Add(new ChainRecord(
                    Parse(row.GetString(0)), row.GetString(1), Parse(row.GetString(2)), row.IsDBNull(3) ? null : row.GetInt32(3), row.GetString(4), row.GetString(5)));
            }

            return chains;
        });
    }

    /// <summary>Adds trees that are not known yet and adds or refreshes images and chains, all or nothing.</summary>
    public void Add(IReadOnlyList<TreeRecord> trees, IReadOnlyList<ImageRecord> images, IReadOnlyList<ChainRecord> chains)
    {
        Locked(() =>
        {
            using SqliteTransaction transaction = _connection.BeginTransaction();
            foreach (TreeRecord tree in trees)
            {
                Execute(
                    "INSERT INTO tree (chain_id, chain, filesystem, complete, created) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (chain_id) DO NOTHING",
                    tree.ChainId.ToString(),
                    string.Join(' ', tree.ChainIds),
                    tree.FilesystemDigest.ToString(),
                    tree.Complete ? 1L : 0L,
                    tree.CreatedUnixMs);
            }

            foreach (ImageRecord image in images)
            {
                Execute(
                    "INSERT INTO image (reference, manifest, chain_id, proxy, platform, pulled) VALUES ($1, $2, $3, $4, $5, $6) "
                    + "ON CONFLICT (reference, manifest) DO UPDATE SET proxy = excluded.proxy, pulled = excluded.pulled",
                    image.Reference,
                    image.ManifestDigest.ToString(),
                    image.ChainId.ToString(),
                    image.ProxyProfile,
                    image.Platform,
                    image.PulledUnixMs);
            }

            AddChains(chains);
            transaction.Commit();
        });
    }

    public void RemoveChains(IEnumerable<Digest> chainIds)
    {
        Locked(() =>
        {
            using SqliteTransaction transaction = _connection.BeginTransaction();
            foreach (Digest chainId in chainIds)
            {
                Execute("DELETE FROM chain WHERE chain_id = $1", chainId.ToString());
            }

            transaction.Commit();
        });
    }

    public void MarkComplete(IReadOnlyList<Digest> chainIds)
    {
        Locked(() =>
        {
            using SqliteTransaction transaction = _connection.BeginTransaction();
            foreach (Digest chainId in chainIds)
            {
                Execute("UPDATE tree SET complete = 1 WHERE chain_id = $1", chainId.ToString());
            }

            transaction.Commit();
        });
    }

    /// <summary>Forgets a tree and its images.</summary>
    public void Remove(Digest chainId)
    {
        Locked(() =>
        {
            Execute("DELETE FROM tree WHERE chain_id = $1", chainId.ToString());
        });
    }

    public void Dispose() => _connection.Dispose();

    /// <summary>Version 1 kept no chains of their own: an image's tree lists them.</summary>
    private void AddChainsOfVersion1()
    {
        Dictionary<Digest, TreeRecord> trees = Trees().ToDictionary(t => t.ChainId);
        using SqliteTransaction transaction = _connection.BeginTransaction();
        Execute(ChainSchema);
        foreach (ImageRecord image in Images().Reverse())
        {
            AddChains(ChainRecord.AllOf(image, trees[image.ChainId].ChainIds));
        }

        Execute($"PRAGMA user_version = {SchemaVersion}");
        transaction.Commit();
    }

    /// <summary>Within the caller's transaction. What is known of a chain already is replaced: the newest image is the likeliest to stay known to its proxy.</summary>
    private void AddChains(IEnumerable<ChainRecord> chains)
    {
        foreach (ChainRecord chain in chains)
        {
            Execute(
                "INSERT INTO chain (chain_id, reference, manifest, layers, proxy, platform) VALUES ($1, $2, $3, $4, $5, $6) "
                + "ON CONFLICT (chain_id) DO UPDATE SET reference = excluded.reference, manifest = excluded.manifest, layers = excluded.layers, "
                + "proxy = excluded.proxy, platform = excluded.platform",
                chain.ChainId.ToString(),
                chain.Reference,
                chain.ManifestDigest.ToString(),
                (object?)chain.Layers ?? DBNull.Value,
                chain.ProxyProfile,
                chain.Platform);
        }
    }

    private void Locked(Action work) => Locked(() =>
    {
        work();
        return true;
    });

    /// <exception cref="FailureException">SQLite could not: the disk is full, the file is damaged.</exception>
    private T Locked<T>(Func<T> work)
    {
        lock (_lock)
        {
            try
            {
                return work();
            }
            catch (SqliteException e)
            {
                throw Failure(e);
            }
        }
    }

    private FailureException Failure(SqliteException e) => new(
        e.SqliteErrorCode switch
        {
            SQLitePCL.raw.SQLITE_FULL => new Error("Images.DiskFull", $"no space left for {_path}: free some", ErrorKind.ResourceExhausted),
            SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB =>
                new Error("Images.DatabaseDamaged", $"{_path} is damaged ({e.Message}): stop the daemon, delete the file and pull the images again", ErrorKind.DataCorrupt),
            _ => new Error("Images.DatabaseUnusable", $"{_path} cannot be used: {e.Message}", ErrorKind.Unavailable),
        },
        e);

    private static Digest Parse(string text) => Digest.Parse(text).Value;

    private SqliteCommand Command(string sql, params ReadOnlySpan<object> arguments)
    {
        SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        for (int i = 0; i < arguments.Length; i++)
        {
            command.Parameters.AddWithValue("$" + (i + 1), arguments[i]);
        }

        return command;
    }

    private void Execute(string sql, params ReadOnlySpan<object> arguments)
    {
        using SqliteCommand command = Command(sql, arguments);
        command.ExecuteNonQuery();
    }

    private object? Scalar(string sql)
    {
        using SqliteCommand command = Command(sql);
        return command.ExecuteScalar();
    }
}
