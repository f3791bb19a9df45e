using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Persistence;

internal enum DatabaseKind
{
    Sqlite,
    Postgres,
}

/// <summary>
/// Which database the catalog lives in. Written as a <c>postgres://user:password@host:port/database</c> URL, as an Npgsql string
/// (<c>Host=…;Database=…</c>), as an SQLite string (<c>Data Source=…</c>) or as the path of an SQLite file.
/// </summary>
internal sealed class CatalogDatabase
{
    /// <summary>How long SQLite waits for another process's write before it gives up, in seconds. A notify writes for well under a second.</summary>
    private const int SqliteBusySeconds = 30;

    private readonly string _connectionString;

    private CatalogDatabase(DatabaseKind kind, string connectionString, string displayName)
    {
        Kind = kind;
        _connectionString = connectionString;
        DisplayName = displayName;
    }

    public DatabaseKind Kind { get; }

    /// <summary>For messages: no password.</summary>
    public string DisplayName { get; }

    /// <exception cref="FailureException">InvalidInput <c>Catalog.ConnectionMalformed</c>.</exception>
    public static CatalogDatabase Parse(string text)
    {
        try
        {
            if (text.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase) || text.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase))
            {
                return Postgres(FromUrl(new Uri(text)));
            }

            if (!text.Contains('=', StringComparison.Ordinal))
            {
                return Sqlite(new SqliteConnectionStringBuilder { DataSource = Path.GetFullPath(text) });
            }

            DbConnectionStringBuilder generic = new() { ConnectionString = text };
            return generic.ContainsKey("Data Source") || generic.ContainsKey("DataSource") || generic.ContainsKey("Filename")
                ? Sqlite(new SqliteConnectionStringBuilder(text))
                : Postgres(new NpgsqlConnectionStringBuilder(text));
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            // The text may hold a password, so it is not repeated.
            throw new FailureException(new Error("Catalog.ConnectionMalformed", $"the database connection string cannot be read ({e.Message}): write postgres://user:password@host/database or the path of an SQLite file", ErrorKind.InvalidInput), e);
        }
    }

    public DbConnection CreateConnection() => Kind == DatabaseKind.Postgres ? new NpgsqlConnection(_connectionString) : new SqliteConnection(_connectionString);

    public void Configure(DbContextOptionsBuilder options)
    {
        if (Kind == DatabaseKind.Postgres)
        {
            options.UseNpgsql(_connectionString);
        }
        else
        {
            options.UseSqlite(_connectionString);
        }
    }

    /// <summary>SQLite makes its file but not the directory for it.</summary>
    public void CreateDirectory()
    {
        if (Kind == DatabaseKind.Sqlite && Path.GetDirectoryName(DisplayName) is { Length: > 0 } directory)
        {
            Directory.CreateDirectory(directory);
        }
    }

    private static CatalogDatabase Postgres(NpgsqlConnectionStringBuilder builder)
    {
        builder.ApplicationName ??= "starlight-proxy";
        return new CatalogDatabase(DatabaseKind.Postgres, builder.ConnectionString, $"postgres://{builder.Host}:{builder.Port}/{builder.Database}");
    }

    private static CatalogDatabase Sqlite(SqliteConnectionStringBuilder builder)
    {
        builder.ForeignKeys = true;
        builder.DefaultTimeout = SqliteBusySeconds;
        return new CatalogDatabase(DatabaseKind.Sqlite, builder.ConnectionString, builder.DataSource);
    }

    /// <summary>The form that libpq and Go's drivers read; of its parameters only sslmode matters here.</summary>
    private static NpgsqlConnectionStringBuilder FromUrl(Uri url)
    {
        string[] user = url.UserInfo.Split(':', 2);
        NpgsqlConnectionStringBuilder builder = new()
        {
            Host = url.Host,
            Port = url.IsDefaultPort || url.Port < 0 ? 5432 : url.Port,
            Database = Uri.UnescapeDataString(url.AbsolutePath.TrimStart('/')) is { Length: > 0 } name ? name : "postgres",
        };
        if (user[0].Length > 0)
        {
            builder.Username = Uri.UnescapeDataString(user[0]);
        }

        if (user.Length == 2)
        {
            builder.Password = Uri.UnescapeDataString(user[1]);
        }

        foreach (string pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = pair.Split('=', 2);
            if (parts[0] == "sslmode" && parts.Length == 2)
            {
                builder.SslMode = Enum.TryParse(parts[1].Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out SslMode mode)
                    ? mode
                    : throw new FormatException($"'{parts[1]}' is not an sslmode");
            }
        }

        return builder;
    }
}
