using Microsoft.Data.Sqlite;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Everything that the daemon keeps below its <c>fs_root</c>, counted: what must be as before once images have gone.</summary>
internal static class WorkerStore
{
    /// <summary>One line for the images and snapshots of containerd, one per directory of the store and one per table of its databases.</summary>
    public static async Task<string> DescribeAsync(StarlightStack stack)
    {
        List<string> lines = [(await stack.ContentsAsync()).ToString()];
        foreach (string directory in Directory.EnumerateDirectories(Path.Combine(stack.FsRoot, "snapshots"), "snapshots", SearchOption.AllDirectories).Append(Path.Combine(stack.FsRoot, "images")))
        {
            lines.Add($"{Path.GetRelativePath(stack.FsRoot, directory)}: {Directory.EnumerateFileSystemEntries(directory).Count()} entries");
        }

        foreach (string database in Directory.EnumerateFiles(stack.FsRoot, "*.db", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            using SqliteConnection connection = new(new SqliteConnectionStringBuilder { DataSource = database, Mode = SqliteOpenMode.ReadWrite, Pooling = false }.ToString());
            await connection.OpenAsync();
            foreach (string table in Column(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"))
            {
                lines.Add($"{Path.GetFileName(database)} {table}: {Column(connection, $"SELECT count(*) FROM {table}")[0]} rows");
            }
        }

        return string.Join('\n', lines);
    }

    /// <summary>Waits until the store is as it was; what freed images held goes in the background.</summary>
    public static async Task ShouldBecomeAsync(StarlightStack stack, string before)
    {
        string now = "";
        try
        {
            await Probe.UntilAsync(async () => (now = await DescribeAsync(stack)) == before, "the store is as before");
        }
        catch (TimeoutException)
        {
            now.ShouldBe(before);
        }
    }

    private static List<string> Column(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader row = command.ExecuteReader();
        List<string> values = [];
        while (row.Read())
        {
            values.Add(row.GetValue(0).ToString()!);
        }

        return values;
    }
}
