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
            records.Add([tree], [image]);
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
        records.Add([new TreeRecord([Chain], Digest.Of("filesystem"u8), Complete: false, 5)], []);
        records.MarkComplete([Chain]);

        records.Add([new TreeRecord([Chain], Digest.Of("filesystem"u8), Complete: false, 9)], []);

        records.Trees().ShouldHaveSingleItem().ShouldSatisfyAllConditions(t => t.Complete.ShouldBeTrue(), t => t.CreatedUnixMs.ShouldBe(5));
    }

    [Fact]
    public void Add_WhenAnImageHasNoTree_AddsNothing()
    {
        using ImageRecords records = Open();
        TreeRecord tree = new([Chain], Digest.Of("filesystem"u8), Complete: false, 5);

        Should.Throw<Microsoft.Data.Sqlite.SqliteException>(() =>
            records.Add([tree], [new ImageRecord("reg/app:1", Digest.Of("manifest"u8), Digest.Of("another"u8), "proxy", "linux/amd64", 7)]));

        records.Trees().ShouldBeEmpty();
    }

    [Fact]
    public void Remove_WhenATreeGoes_ItsImagesGo()
    {
        using ImageRecords records = Open();
        records.Add([new TreeRecord([Chain], Digest.Of("filesystem"u8), Complete: true, 5)], [new ImageRecord("reg/app:1", Digest.Of("manifest"u8), Chain, "proxy", "linux/amd64", 7)]);

        records.Remove(Chain);

        records.Trees().ShouldBeEmpty();
        records.Images().ShouldBeEmpty();
    }

    [Fact]
    public void Images_Always_BringsTheLatestPulledFirst()
    {
        using ImageRecords records = Open();
        TreeRecord tree = new([Chain], Digest.Of("filesystem"u8), Complete: true, 5);
        records.Add([tree], [new ImageRecord("reg/app:1", Digest.Of("1"u8), Chain, "p", "linux/amd64", 1), new ImageRecord("reg/app:2", Digest.Of("2"u8), Chain, "p", "linux/amd64", 2)]);

        records.Images().Select(i => i.Reference).ShouldBe(["reg/app:2", "reg/app:1"]);
    }

    [Fact]
    public void Open_WhenTheFileIsNoDatabase_SaysWhich()
    {
        File.WriteAllText(_scratch["images.db"], new string('x', 5000));

        Should.Throw<FailureException>(Open).Error.ShouldSatisfyAllConditions(e => e.Code.ShouldBe("Images.DatabaseUnusable"), e => e.Message.ShouldContain("images.db"));
    }

    [Fact]
    public void Open_WhenWrittenByANewerVersion_Refuses()
    {
        Open().Dispose();
        using (Microsoft.Data.Sqlite.SqliteConnection connection = new($"Data Source={_scratch["images.db"]};Pooling=False"))
        {
            connection.Open();
            using Microsoft.Data.Sqlite.SqliteCommand command = connection.CreateCommand();
            command.CommandText = "PRAGMA user_version = 99";
            command.ExecuteNonQuery();
        }

        Should.Throw<FailureException>(Open).Error.Code.ShouldBe("Images.DatabaseVersion");
    }

    private ImageRecords Open() => new(_scratch["images.db"]);
}
