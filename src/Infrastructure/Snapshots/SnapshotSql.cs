namespace Starlight.Infrastructure.Snapshots;

/// <summary>The statements of <see cref="SqliteSnapshotStore"/>. All take their values as parameters and are prepared once per connection.</summary>
internal static class SnapshotSql
{
    /// <summary>Kept in <c>PRAGMA user_version</c>. A higher one was written by a newer daemon, which this one must not touch.</summary>
    public const int SchemaVersion = 1;

    /// <summary>
    /// Schema version 1. Numbers are never used again (AUTOINCREMENT), since directories are named by them. Parents are held by number, so that a commit, which renames a
    /// snapshot, touches one row. Times are ticks of 100 ns since year 1, UTC. Labels are one JSON object: they are always read and written together.
    /// </summary>
    public const string CreateSchema =
        """
        CREATE TABLE snapshot (
            id        INTEGER PRIMARY KEY AUTOINCREMENT,
            key       TEXT    NOT NULL UNIQUE,
            kind      INTEGER NOT NULL CHECK (kind IN (1, 2, 3)),
            parent_id INTEGER NULL REFERENCES snapshot (id) ON DELETE RESTRICT,
            labels    TEXT    NOT NULL,
            created   INTEGER NOT NULL,
            updated   INTEGER NOT NULL,
            size      INTEGER NOT NULL,
            inodes    INTEGER NOT NULL,
            chain_id  TEXT    NULL CHECK (chain_id IS NULL OR kind = 3)
        ) STRICT;
        CREATE INDEX snapshot_by_parent ON snapshot (parent_id) WHERE parent_id IS NOT NULL;
        CREATE UNIQUE INDEX snapshot_by_chain ON snapshot (chain_id, ifnull(parent_id, 0)) WHERE chain_id IS NOT NULL;
        PRAGMA user_version = 1;
        """;

    public const string Find = Select + " WHERE s.key = $key";

    public const string FindProvided = Select + " WHERE s.chain_id = $chain AND ifnull(p.key, '') = $parent";

    public const string All = Select + " ORDER BY s.id";

    public const string HasProvided = "SELECT 1 FROM snapshot WHERE chain_id = $chain LIMIT 1";

    public const string ProvidedChains = "SELECT DISTINCT chain_id FROM snapshot WHERE chain_id IS NOT NULL";

    public const string HasChildren = "SELECT 1 FROM snapshot WHERE parent_id = $id LIMIT 1";

    public const string Ancestors =
        """
        WITH RECURSIVE chain (id, depth) AS (
            SELECT parent_id, 1 FROM snapshot WHERE id = $id
            UNION ALL
            SELECT snapshot.parent_id, depth + 1 FROM chain JOIN snapshot ON snapshot.id = chain.id
        )
        SELECT s.id, s.key, s.kind, p.key, s.labels, s.created, s.updated, s.size, s.inodes, s.chain_id
        FROM chain JOIN snapshot s ON s.id = chain.id LEFT JOIN snapshot p ON p.id = s.parent_id
        ORDER BY chain.depth
        """;

    public const string Insert =
        """
        INSERT INTO snapshot (key, kind, parent_id, labels, created, updated, size, inodes, chain_id)
        VALUES ($key, $kind, (SELECT id FROM snapshot WHERE key = $parent), $labels, $created, $created, 0, 0, $chain)
        RETURNING id
        """;

    public const string Replace =
        "UPDATE snapshot SET key = $key, kind = $kind, labels = $labels, created = $created, updated = $updated, size = $size, inodes = $inodes WHERE id = $id";

    public const string Delete = "DELETE FROM snapshot WHERE id = $id";

    private const string Select =
        """
        SELECT s.id, s.key, s.kind, p.key, s.labels, s.created, s.updated, s.size, s.inodes, s.chain_id
        FROM snapshot s LEFT JOIN snapshot p ON p.id = s.parent_id
        """;
}
