namespace Starlight.Infrastructure.Persistence;

/// <summary>One step of the schema. Never edited once released: a change is a new step.</summary>
/// <param name="Version">Counts up from 1 without gaps.</param>
/// <param name="Name">For the log and the schema_version table.</param>
/// <param name="Statements">SQL that both databases understand, but for the type names {blob}, {bigint} and {bool}.</param>
internal sealed record SchemaMigration(int Version, string Name, string[] Statements)
{
    public IEnumerable<string> For(DatabaseKind kind) => Statements.Select(s => kind == DatabaseKind.Postgres
        ? s.Replace("{blob}", "BYTEA", StringComparison.Ordinal).Replace("{bigint}", "BIGINT", StringComparison.Ordinal).Replace("{bool}", "BOOLEAN", StringComparison.Ordinal)
        : s.Replace("{blob}", "BLOB", StringComparison.Ordinal).Replace("{bigint}", "INTEGER", StringComparison.Ordinal).Replace("{bool}", "INTEGER", StringComparison.Ordinal));
}

internal static class SchemaMigrations
{
    public static IReadOnlyList<SchemaMigration> All { get; } =
    [
        new(1, "images, layers and tags",
        [
            """
            CREATE TABLE layers (
                digest            TEXT     NOT NULL PRIMARY KEY,
                diff_id           TEXT     NOT NULL,
                size              {bigint} NOT NULL,
                uncompressed_size {bigint} NOT NULL,
                is_estargz        {bool}   NOT NULL,
                entries           {blob}   NOT NULL)
            """,
            """
            CREATE TABLE images (
                digest            TEXT     NOT NULL PRIMARY KEY,
                platform          TEXT     NOT NULL,
                media_type        TEXT     NOT NULL,
                manifest          {blob}   NOT NULL,
                config            {blob}   NOT NULL,
                filesystem_digest TEXT     NOT NULL,
                filesystem        {blob}   NOT NULL,
                unit              {blob}   NOT NULL,
                content_order     {blob}   NOT NULL,
                hot_count         INTEGER  NOT NULL,
                file_count        INTEGER  NOT NULL,
                content_bytes     {bigint} NOT NULL,
                indexed_at        {bigint} NOT NULL)
            """,
            """
            CREATE TABLE image_layers (
                image             TEXT     NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
                position          INTEGER  NOT NULL,
                layer             TEXT     NOT NULL REFERENCES layers (digest),
                PRIMARY KEY (image, position))
            """,
            "CREATE INDEX image_layers_by_layer ON image_layers (layer)",
            """
            CREATE TABLE indexes (
                digest            TEXT     NOT NULL PRIMARY KEY,
                media_type        TEXT     NOT NULL,
                raw               {blob}   NOT NULL)
            """,
            """
            CREATE TABLE index_images (
                index_digest      TEXT     NOT NULL REFERENCES indexes (digest) ON DELETE CASCADE,
                platform          TEXT     NOT NULL,
                image             TEXT     NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
                PRIMARY KEY (index_digest, platform))
            """,
            "CREATE INDEX index_images_by_image ON index_images (image)",
            """
            CREATE TABLE tags (
                registry          TEXT     NOT NULL,
                repository        TEXT     NOT NULL,
                tag               TEXT     NOT NULL,
                platform          TEXT     NOT NULL,
                image             TEXT     NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
                index_digest      TEXT     NULL     REFERENCES indexes (digest) ON DELETE CASCADE,
                notified_at       {bigint} NOT NULL,
                PRIMARY KEY (registry, repository, tag, platform))
            """,
            "CREATE INDEX tags_by_image ON tags (image)",
            "CREATE INDEX tags_by_index ON tags (index_digest)",
        ]),
        new(2, "repositories of images",
        [
            """
            CREATE TABLE repository_images (
                image             TEXT     NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
                registry          TEXT     NOT NULL,
                repository        TEXT     NOT NULL,
                PRIMARY KEY (image, registry, repository))
            """,
            "INSERT INTO repository_images (image, registry, repository) SELECT DISTINCT image, registry, repository FROM tags",
        ]),
        new(3, "origins, members, use and claims",
        [
            "ALTER TABLE layers ADD COLUMN members {blob} NULL",
            "ALTER TABLE layers ADD COLUMN indexed_at {bigint} NOT NULL DEFAULT 0",
            "ALTER TABLE images ADD COLUMN used_at {bigint} NOT NULL DEFAULT 0",
            "UPDATE images SET used_at = indexed_at",
            """
            CREATE TABLE image_origins (
                image             TEXT     NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
                registry          TEXT     NOT NULL,
                repository        TEXT     NOT NULL,
                insecure          {bool}   NOT NULL,
                is_root           {bool}   NOT NULL,
                notified_at       {bigint} NOT NULL,
                PRIMARY KEY (image, registry, repository))
            """,
            """
            INSERT INTO image_origins (image, registry, repository, insecure, is_root, notified_at)
                SELECT r.image, r.registry, r.repository, CAST(0 AS {bool}),
                    CAST(CASE WHEN EXISTS (SELECT 1 FROM tags t WHERE t.image = r.image) OR EXISTS (SELECT 1 FROM index_images m WHERE m.image = r.image) THEN 0 ELSE 1 END AS {bool}), 0
                FROM repository_images r
            """,
            "DROP TABLE repository_images",
            """
            CREATE TABLE claims (
                name              TEXT     NOT NULL PRIMARY KEY,
                owner             TEXT     NOT NULL,
                expires_at        {bigint} NOT NULL)
            """,
        ]),
        ScanJobSchema.Migration(4),
        new(5, "origins of layers",
        [
            """
            CREATE TABLE layer_origins (
                layer             TEXT     NOT NULL REFERENCES layers (digest) ON DELETE CASCADE,
                registry          TEXT     NOT NULL,
                repository        TEXT     NOT NULL,
                PRIMARY KEY (layer, registry, repository))
            """,
            "INSERT INTO layer_origins (layer, registry, repository) SELECT DISTINCT l.layer, o.registry, o.repository FROM image_layers l JOIN image_origins o ON o.image = l.image",
        ]),
        TraceSchema.Migration(6),
        new(7, "filesystem images are in units only", ["ALTER TABLE images DROP COLUMN filesystem"]),
        Parts.Migration(8),
    ];
}
