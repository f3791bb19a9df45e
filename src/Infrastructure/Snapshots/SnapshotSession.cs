using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Data.Sqlite;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.Snapshots;

namespace Starlight.Infrastructure.Snapshots;

/// <summary>One SQLite connection with its prepared statements. Used by one thread at a time, inside a transaction that <see cref="SqliteSnapshotStore"/> opens.</summary>
internal sealed partial class SnapshotSession : ISnapshotWriter, IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly Dictionary<string, SqliteCommand> _commands = [];

    /// <summary>Takes over the open connection.</summary>
    public SnapshotSession(SqliteConnection connection) => _connection = connection;

    /// <summary>Runs a statement that returns nothing, such as BEGIN.</summary>
    public void Execute(string sql) => Command(sql).ExecuteNonQuery();

    public Snapshot? Find(SnapshotKey key) => Read(Command(SnapshotSql.Find, ("$key", key.Value))).FirstOrDefault();

    public Snapshot? FindProvided(string chainId, SnapshotKey? parent) =>
        Read(Command(SnapshotSql.FindProvided, ("$chain", chainId), ("$parent", parent?.Value ?? ""))).FirstOrDefault();

    public bool HasProvided(string chainId) => Command(SnapshotSql.HasProvided, ("$chain", chainId)).ExecuteScalar() is not null;

    public IReadOnlySet<string> ProvidedChains()
    {
        using SqliteDataReader row = Command(SnapshotSql.ProvidedChains).ExecuteReader();
        HashSet<string> chains = new(StringComparer.Ordinal);
        while (row.Read())
        {
            chains.Add(row.GetString(0));
        }

        return chains;
    }

    public bool HasChildren(Snapshot snapshot) => Command(SnapshotSql.HasChildren, ("$id", snapshot.Id)).ExecuteScalar() is not null;

    public IReadOnlyList<Snapshot> Ancestors(Snapshot snapshot) => snapshot.Parent is null ? [] : Read(Command(SnapshotSql.Ancestors, ("$id", snapshot.Id)));

    public IReadOnlyList<Snapshot> All() => Read(Command(SnapshotSql.All));

    public Snapshot Insert(SnapshotDraft draft)
    {
        object? id = Command(
            SnapshotSql.Insert,
            ("$key", draft.Key.Value),
            ("$kind", (long)draft.Kind),
            ("$parent", (object?)draft.Parent?.Value ?? DBNull.Value),
            ("$labels", Encode(draft.Labels)),
            ("$created", draft.Created.UtcTicks),
            ("$chain", (object?)draft.ProvidedChainId ?? DBNull.Value)).ExecuteScalar();
        return draft.WithId(Convert.ToInt64(id, CultureInfo.InvariantCulture));
    }

    public void Replace(Snapshot snapshot) => Command(
        SnapshotSql.Replace,
        ("$id", snapshot.Id),
        ("$key", snapshot.Key.Value),
        ("$kind", (long)snapshot.Kind),
        ("$labels", Encode(snapshot.Labels)),
        ("$created", snapshot.Created.UtcTicks),
        ("$updated", snapshot.Updated.UtcTicks),
        ("$size", snapshot.Usage.Size),
        ("$inodes", snapshot.Usage.Inodes)).ExecuteNonQuery();

    public void Delete(Snapshot snapshot) => Command(SnapshotSql.Delete, ("$id", snapshot.Id)).ExecuteNonQuery();

    public void Dispose()
    {
        foreach (SqliteCommand command in _commands.Values)
        {
            command.Dispose();
        }

        _connection.Dispose();
    }

    private static List<Snapshot> Read(SqliteCommand command)
    {
        List<Snapshot> rows = [];
        using SqliteDataReader row = command.ExecuteReader();
        while (row.Read())
        {
            rows.Add(new Snapshot(
                row.GetInt64(0),
                SnapshotKey.Parse(row.GetString(1)).Value,
                (SnapshotKind)row.GetInt64(2),
                row.IsDBNull(3) ? null : SnapshotKey.Parse(row.GetString(3)).Value,
                Decode(row.GetString(4)),
                new DateTimeOffset(row.GetInt64(5), TimeSpan.Zero),
                new DateTimeOffset(row.GetInt64(6), TimeSpan.Zero),
                new SnapshotUsage(row.GetInt64(7), row.GetInt64(8)),
                row.IsDBNull(9) ? null : row.GetString(9)));
        }

        return rows;
    }

    private static string Encode(IReadOnlyDictionary<string, string> labels) =>
        labels.Count == 0 ? "{}" : JsonSerializer.Serialize(labels, LabelJson.Default.IReadOnlyDictionaryStringString);

    private static IReadOnlyDictionary<string, string> Decode(string labels) =>
        labels == "{}" ? SnapshotLabels.None : JsonSerializer.Deserialize(labels, LabelJson.Default.DictionaryStringString)!;

    private SqliteCommand Command(string sql, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        if (!_commands.TryGetValue(sql, out SqliteCommand? command))
        {
            command = _connection.CreateCommand();
            command.CommandText = sql;
            foreach ((string name, _) in parameters)
            {
                command.Parameters.Add(new SqliteParameter { ParameterName = name });
            }

            _commands.Add(sql, command);
        }

        for (int i = 0; i < parameters.Length; i++)
        {
            command.Parameters[i].Value = parameters[i].Value;
        }

        return command;
    }

    [JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
    [JsonSerializable(typeof(Dictionary<string, string>))]
    private sealed partial class LabelJson : JsonSerializerContext;
}
