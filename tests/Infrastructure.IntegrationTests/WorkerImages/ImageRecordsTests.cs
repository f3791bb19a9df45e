using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.WorkerImages;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

public sealed class ImageRecordsTests : IDisposable
{
    private static readonly Digest Chain = Digest.Of("chain"u8);

    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Add_WhenReopened_GivesTheSame()
    {
        TreeRecord tree = new([Digest.Of("base"u8), Chain], Digest.Of("filesystem"u8), Complete: false, 5);
        ImageRecord image = new("reg/app:1", Digest.Of("manifest"u8), Chain, "proxy", "linux/amd64", 7);
        using (ImageRecords records = Open())
        {
            records.Add([tree], [image], []);
        }

        using ImageRecords reopened = Open();

        TreeRecord read = reopened.Trees().ShouldHaveSingleItem();
        read.ChainIds.ShouldBe(tree.ChainIds);
        read.ShouldSatisfyAllConditions(r => r.FilesystemDigest.ShouldBe(tree.FilesystemDigest), r => r.Complete.ShouldBeFalse(), r => r.CreatedUnixMs.ShouldBe(5));
        reopened.Images().ShouldBe([image]);
    }

    [Fact]
    public void Add_WhenATreeIsKnown_KeepsWhatItHas()
    {
        using ImageRecords records = Open();
        records.Add([new TreeRecord([Chain], Digest.Of("filesystem"u8), Complete: false, 5)], [], []);
        records.MarkComplete([Chain]);

        records.Add([new TreeRecord([Chain], Digest.Of("filesystem"u8), Complete: false, 9)], [], []);

        records.Trees().ShouldHaveSingleItem().ShouldSatisfyAllConditions(t => t.Complete.ShouldBeTrue(), t => t.CreatedUnixMs.ShouldBe(5));
    }

    [Fact]
    public void Add_WhenAnImageHasNoTree_AddsNothing()
    {
        using ImageRecords records = Open();
        TreeRecord tree = new([Chain], Digest.Of("filesystem"u8), Complete: false, 5);

        Should.Throw<FailureException>(() =>
            records.Add([tree], [new ImageRecord("reg/app:1", Digest.Of("manifest"u8), Digest.Of("another"u8), "proxy", "linux/amd64", 7)], []));

        records.Trees().ShouldBeEmpty();
    }

    [Fact]
    public void Remove_WhenATreeGoes_ItsImagesGo()
    {
        using ImageRecords records = Open();
        records.Add([new TreeRecord([Chain], Digest.Of("filesystem"u8), Complete: true, 5)], [new ImageRecord("reg/app:1", Digest.Of("manifest"u8), Chain, "proxy", "linux/amd64", 7)], []);

        records.Remove(Chain);

        records.Trees().ShouldBeEmpty();
        records.Images().ShouldBeEmpty();
    }

    [Fact]
    public void Images_Always_BringsTheLatestPulledFirst()
    {
        using ImageRecords records = Open();
        TreeRecord tree = new([Chain], Digest.Of("filesystem"u8), Complete: true, 5);
        records.Add([tree], [new ImageRecord("reg/app:1", Digest.Of("1"u8), Chain, "p", "linux/amd64", 1), new ImageRecord("reg/app:2", Digest.Of("2"u8), Chain, "p", "linux/amd64", 2)], []);

        records.Images().Select(i => i.Reference).ShouldBe(["reg/app:2", "reg/app:1"]);
    }

    [Fact]
    public void Chains_WhenAnotherImageBringsThemAgain_AreThatImages()
    {
        Digest below = Digest.Of("base"u8);
        ImageRecord first = new("reg/app:1", Digest.Of("1"u8), Chain, "p", "linux/amd64", 1);
        ImageRecord second = new("reg/other:1", Digest.Of("2"u8), Digest.Of("other"u8), "q", "linux/amd64", 2);
        using (ImageRecords records = Open())
        {
            records.Add([], [], [.. ChainRecord.AllOf(first, [below, Chain])]);
            records.Add([], [], [.. ChainRecord.AllOf(second, [below, second.ChainId])]);
            records.RemoveChains([Chain]);
        }

        using ImageRecords reopened = Open();

        reopened.Chains().ShouldBe(
            [
                new ChainRecord(below, "reg/other:1", Digest.Of("2"u8), 1, "q", "linux/amd64"),
                new ChainRecord(second.ChainId, "reg/other:1", Digest.Of("2"u8), null, "q", "linux/amd64"),
            ],
            ignoreOrder: true);
    }

    [Fact]
    public void Open_WhenWrittenByVersion1_FindsTheChainsOfItsImages()
    {
        Digest below = Digest.Of("base"u8);
        ImageRecord image = new("reg/app:1", Digest.Of("manifest"u8), Chain, "p", "linux/amd64", 7);
        using (ImageRecords records = Open())
        {
            records.Add([new TreeRecord([below, Chain], Digest.Of("filesystem"u8), Complete: true, 5)], [image], []);
        }

        Execute("DROP TABLE chain; PRAGMA user_version = 1");

        using ImageRecords reopened = Open();

        reopened.Chains().ShouldBe(ChainRecord.AllOf(image, [below, Chain]), ignoreOrder: true);
        reopened.Images().ShouldBe([image]);
    }

    [Fact]
    public void Open_WhenTheFileIsNoDatabase_SaysWhich()
    {
        File.WriteAllText(_scratch["images.db"], new string('x', 5000));

        Should.Throw<FailureException>(Open).Error.ShouldSatisfyAllConditions(e => e.Code.ShouldBe("Images.DatabaseDamaged"), e => e.Message.ShouldContain("images.db"));
    }

    [Fact]
    public void Open_WhenWrittenByANewerVersion_Refuses()
    {
        Open().Dispose();
        Execute("PRAGMA user_version = 99");

        Should.Throw<FailureException>(Open).Error.Code.ShouldBe("Images.DatabaseVersion");
    }

    private void Execute(string sql)
    {
        using Microsoft.Data.Sqlite.SqliteConnection connection = new($"Data Source={_scratch["images.db"]};Pooling=False");
        connection.Open();
        using Microsoft.Data.Sqlite.SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private ImageRecords Open() => new(_scratch["images.db"]);
}
