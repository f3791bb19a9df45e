using Microsoft.Data.Sqlite;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Infrastructure.Snapshots;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Snapshots;

public sealed class SqliteSnapshotStoreTests : IDisposable
{
    private static readonly DateTimeOffset Now = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero).AddTicks(1234567);

    private readonly ScratchDirectory _root = new();

    public void Dispose() => _root.Dispose();

    [Fact]
    public async Task Open_OfWhatAKilledDaemonLeft_HasEverythingThatWasCommitted()
    {
        await using SqliteSnapshotStore store = SqliteSnapshotStore.Open(_root.Path);
        Snapshot quick = await InsertAsync(store, "quick", WriteDurability.ProcessCrash);
        Snapshot lasting = await InsertAsync(store, "lasting", WriteDurability.PowerLoss, parent: null, ("é", "\"\\\n"));

        // The files as the kernel has them while the store is open: what kill -9 would leave.
        using var copy = new ScratchDirectory();
        foreach (string file in Directory.EnumerateFiles(_root.Path, "snapshots.db*"))
        {
            File.Copy(file, copy[Path.GetFileName(file)]);
        }

        await using SqliteSnapshotStore recovered = SqliteSnapshotStore.Open(copy.Path);

        Snapshot[] all = [.. recovered.Read(reader => reader.All())];
        all.Select(snapshot => snapshot.Key.Value).ShouldBe(["quick", "lasting"]);
        all[0].Id.ShouldBe(quick.Id);
        all[1].Labels.ShouldBe(lasting.Labels);
        all[1].Created.ShouldBe(Now);
    }

    [Fact]
    public async Task WriteAsync_WhenTheChangeFailsOrThrows_KeepsNothing()
    {
        await using SqliteSnapshotStore store = SqliteSnapshotStore.Open(_root.Path);
        bool committed = false;

        Result<int> failed = await store.WriteAsync<int>(
            WriteDurability.PowerLoss,
            writer =>
            {
                writer.Insert(Draft("a"));
                return SnapshotErrors.NotFound("x");
            },
            _ => committed = true,
            CancellationToken.None);
        await Should.ThrowAsync<InvalidDataException>(store.WriteAsync<int>(
            WriteDurability.PowerLoss,
            writer =>
            {
                writer.Insert(Draft("b"));
                throw new InvalidDataException();
            },
            _ => committed = true,
            CancellationToken.None));

        failed.IsSuccess.ShouldBeFalse();
        committed.ShouldBeFalse();
        store.Read(reader => reader.All()).ShouldBeEmpty();
        (await InsertAsync(store, "c")).Key.Value.ShouldBe("c");
    }

    [Fact]
    public async Task Insert_AfterADelete_NeverGivesTheNumberAgain()
    {
        await using SqliteSnapshotStore store = SqliteSnapshotStore.Open(_root.Path);
        Snapshot first = await InsertAsync(store, "a");
        await store.WriteAsync<bool>(WriteDurability.PowerLoss, writer => { writer.Delete(first); return true; }, null, CancellationToken.None);

        (await InsertAsync(store, "a")).Id.ShouldBeGreaterThan(first.Id);
    }

    [Fact]
    public async Task Delete_OfAParent_IsRefusedByTheDatabaseItself()
    {
        await using SqliteSnapshotStore store = SqliteSnapshotStore.Open(_root.Path);
        Snapshot parent = await InsertAsync(store, "p");
        await InsertAsync(store, "c", parent: "p");

        await Should.ThrowAsync<FailureException>(
            store.WriteAsync<bool>(WriteDurability.PowerLoss, writer => { writer.Delete(parent); return true; }, null, CancellationToken.None));
        store.Read(reader => reader.All()).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Ancestors_AreTheChainFromTheParentDown()
    {
        await using SqliteSnapshotStore store = SqliteSnapshotStore.Open(_root.Path);
        await InsertAsync(store, "a");
        await InsertAsync(store, "b", parent: "a");
        await InsertAsync(store, "other", parent: "a");
        Snapshot c = await InsertAsync(store, "c", parent: "b");

        store.Read(reader => reader.Ancestors(c)).Select(ancestor => ancestor.Key.Value).ShouldBe(["b", "a"]);
    }

    [Fact]
    public async Task Read_DuringAWrite_SeesTheStateBefore()
    {
        await using SqliteSnapshotStore store = SqliteSnapshotStore.Open(_root.Path);
        int seen = -1;

        await store.WriteAsync<bool>(
            WriteDurability.ProcessCrash,
            writer =>
            {
                writer.Insert(Draft("a"));
                seen = store.Read(reader => reader.All()).Count;
                return true;
            },
            null,
            CancellationToken.None);

        seen.ShouldBe(0);
        store.Read(reader => reader.All()).Count.ShouldBe(1);
    }

    [Fact]
    public async Task Open_ByASecondDaemon_IsRefused()
    {
        await using SqliteSnapshotStore store = SqliteSnapshotStore.Open(_root.Path);

        Should.Throw<FailureException>(() => SqliteSnapshotStore.Open(_root.Path)).Error.Code.ShouldBe("SnapshotStore.InUse");
    }

    [Fact]
    public async Task Open_OfANewerSchema_IsRefusedAndLeavesTheLock()
    {
        await SqliteSnapshotStore.Open(_root.Path).DisposeAsync();
        Execute("PRAGMA user_version = 2");

        Should.Throw<FailureException>(() => SqliteSnapshotStore.Open(_root.Path)).Error.Code.ShouldBe("SnapshotStore.TooNew");

        Execute("PRAGMA user_version = 1");
        await SqliteSnapshotStore.Open(_root.Path).DisposeAsync();
    }

    [Fact]
    public void Open_OfSomethingElse_IsRefusedAsCorrupt()
    {
        File.WriteAllText(_root["snapshots.db"], new string('x', 8192));

        Should.Throw<FailureException>(() => SqliteSnapshotStore.Open(_root.Path)).Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    [Fact]
    public async Task DisposeAsync_Twice_IsFine()
    {
        SqliteSnapshotStore store = SqliteSnapshotStore.Open(_root.Path);
        await store.DisposeAsync();
        await store.DisposeAsync();

        Should.Throw<ObjectDisposedException>(() => store.Read(reader => reader.All()));
    }

    private static SnapshotDraft Draft(string key, string? parent = null, params (string Key, string Value)[] labels) => new(
        SnapshotKey.Parse(key).Value,
        SnapshotKind.Committed,
        SnapshotKey.ParseOptional(parent, "parent").Value,
        labels.ToDictionary(label => label.Key, label => label.Value),
        Now,
        ProvidedChainId: null);

    private static async Task<Snapshot> InsertAsync(
        SqliteSnapshotStore store, string key, WriteDurability durability = WriteDurability.ProcessCrash, string? parent = null, params (string Key, string Value)[] labels) =>
        (await store.WriteAsync<Snapshot>(durability, writer => writer.Insert(Draft(key, parent, labels)), null, CancellationToken.None)).Value;

    private void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={_root["snapshots.db"]};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
