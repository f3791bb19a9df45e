using System.Data.Common;
using System.Runtime.InteropServices;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Persistence;
using static Starlight.Infrastructure.IntegrationTests.Persistence.SampleCatalog;

namespace Starlight.Infrastructure.IntegrationTests.Persistence;

/// <summary>Each test runs on SQLite and on a real Postgres.</summary>
public abstract class ImageCatalogTests(CatalogFixture fixture)
{
    internal abstract DatabaseKind Kind { get; }

    [Fact]
    public async Task Record_WhenImageIsNew_GivesEverythingBackByteForByte()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IImageCatalog catalog = proxy.GetRequiredService<IImageCatalog>();
        IndexedLayer[] layers = [Layer("base"), Layer("top")];
        IndexedImage image = Image("a", Amd64, layers[0], layers[1], layers[0]);

        await catalog.RecordAsync(Single("v1", image, layers), CancellationToken.None);
        IndexedImage found = (await catalog.FindImageAsync(image.Digest, CancellationToken.None))!;
        IndexedLayer layer = (await catalog.FindLayerAsync(layers[1].Digest, CancellationToken.None))!;

        found.Platform.ShouldBe(image.Platform);
        found.MediaType.ShouldBe(image.MediaType);
        found.Manifest.ToArray().ShouldBe(image.Manifest.ToArray());
        found.Config.ToArray().ShouldBe(image.Config.ToArray());
        found.FilesystemDigest.ShouldBe(image.FilesystemDigest);
        found.Unit.ToArray().ShouldBe(image.Unit.ToArray());
        found.Layers.ShouldBe(image.Layers);
        found.Order.ShouldBe(image.Order);
        found.HotCount.ShouldBe(image.HotCount);
        found.FileCount.ShouldBe(image.FileCount);
        found.ContentBytes.ShouldBe(image.ContentBytes);
        found.IndexedAt.ShouldBe(image.IndexedAt);
        (layer with { Index = default }).ShouldBe(layers[1] with { Index = default });
        layer.Index.ToArray().ShouldBe(layers[1].Index.ToArray());
    }

    [Fact]
    public async Task Find_WhenNothingWasRecorded_FindsNothing()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IImageQueries queries = proxy.GetRequiredService<IImageQueries>();

        (await proxy.GetRequiredService<IImageCatalog>().FindImageAsync(Digest.Empty, CancellationToken.None)).ShouldBeNull();
        (await proxy.GetRequiredService<IImageCatalog>().FindLayerAsync(Digest.Empty, CancellationToken.None)).ShouldBeNull();
        (await queries.FindByDigestAsync(Digest.Empty, CancellationToken.None)).ShouldBeEmpty();
        (await queries.FindByTagAsync(Reference("v1"), CancellationToken.None)).ShouldBeEmpty();
        (await queries.FindIndexAsync(Digest.Empty, CancellationToken.None)).ShouldBeNull();
    }

    [Fact]
    public async Task Record_WhenPartOfItCannotBeStored_StoresNothing()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IImageCatalog catalog = proxy.GetRequiredService<IImageCatalog>();
        IndexedLayer present = Layer("present");
        IndexedImage image = Image("a", Amd64, present, Layer("never recorded"));

        FailureException failure = await Should.ThrowAsync<FailureException>(() => catalog.RecordAsync(Single("v1", image, present), CancellationToken.None));

        failure.Error.Code.ShouldBe("Catalog.Unavailable");
        (await catalog.FindLayerAsync(present.Digest, CancellationToken.None)).ShouldBeNull();
        (await catalog.FindImageAsync(image.Digest, CancellationToken.None)).ShouldBeNull();
        (await proxy.GetRequiredService<IImageQueries>().FindByTagAsync(Reference("v1"), CancellationToken.None)).ShouldBeEmpty();
        await catalog.RecordAsync(Single("v1", image, present, Layer("never recorded")), CancellationToken.None);
        (await catalog.FindImageAsync(image.Digest, CancellationToken.None)).ShouldNotBeNull();
    }

    [Fact]
    public async Task Record_WhenRepeated_ChangesNothing()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IndexedLayer layer = Layer("l");
        Notification notification = Indexed("v1", "i", [layer], Image("a", Amd64, layer), Image("b", Arm64, layer));

        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(notification, CancellationToken.None);
        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(notification, CancellationToken.None);

        (await proxy.GetRequiredService<IImageQueries>().FindByTagAsync(Reference("v1"), CancellationToken.None)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Record_WhenTwoProxiesLearnTheSameAtOnce_BothSucceed()
    {
        string database = await fixture.NewDatabaseAsync(Kind);
        ServiceProvider[] proxies = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => CatalogFixture.OpenAsync(database)));
        IndexedLayer[] shared = [.. Enumerable.Range(0, 20).Select(i => Layer($"layer {i}"))];
        IndexedImage image = Image("a", Amd64, shared);

        await Task.WhenAll(proxies.SelectMany(p => Enumerable.Range(0, 4).Select(i =>
            Task.Run(() => p.GetRequiredService<IImageCatalog>().RecordAsync(Single($"v{i}", image, shared), CancellationToken.None)))));

        (await proxies[0].GetRequiredService<IImageCatalog>().FindImageAsync(image.Digest, CancellationToken.None))!.Layers.Count.ShouldBe(20);
        foreach (ServiceProvider proxy in proxies)
        {
            await proxy.DisposeAsync();
        }
    }

    [Fact]
    public async Task Find_ByIndexManifestAndTag_AgreesForEveryPlatform()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IImageQueries queries = proxy.GetRequiredService<IImageQueries>();
        IndexedLayer layer = Layer("l");
        Notification notification = Indexed("v1", "i", [layer], Image("a", Amd64, layer), Image("b", Arm64, layer));
        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(notification, CancellationToken.None);
        Digest index = notification.Index!.Digest;
        Dictionary<Platform, NamedImage> expected = notification.NewImages.ToDictionary(i => i.Platform, i => new NamedImage(i.Digest, index));

        (await queries.FindByTagAsync(Reference("v1"), CancellationToken.None)).ShouldBe(expected, ignoreOrder: true);
        (await queries.FindByDigestAsync(index, CancellationToken.None)).ShouldBe(expected, ignoreOrder: true);
        (await queries.FindByDigestAsync(notification.NewImages[1].Digest, CancellationToken.None)).ShouldHaveSingleItem().Value.ShouldBe(new NamedImage(notification.NewImages[1].Digest, Index: null));
        (await queries.FindIndexAsync(index, CancellationToken.None))!.Raw.ToArray().ShouldBe(notification.Index.Raw.ToArray());
        (await queries.FindByTagAsync(Reference("v2"), CancellationToken.None)).ShouldBeEmpty();
        (await queries.FindRepositoriesAsync(notification.NewImages[1].Digest, CancellationToken.None)).ShouldBe([Reference("v1").Name]);
        (await queries.FindRepositoriesAsync(Digest.Empty, CancellationToken.None)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Record_WhenTagMovesToAnotherIndex_ForgetsPlatformsOfTheOldOneUnderTheTagOnly()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IImageQueries queries = proxy.GetRequiredService<IImageQueries>();
        IndexedLayer layer = Layer("l");
        Notification old = Indexed("v1", "old", [layer], Image("a", Amd64, layer), Image("b", Arm64, layer));
        Notification now = Indexed("v1", "now", [], Image("c", Amd64, layer));
        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(old, CancellationToken.None);

        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(now, CancellationToken.None);

        (await queries.FindByTagAsync(Reference("v1"), CancellationToken.None)).ShouldHaveSingleItem().Value.Manifest.ShouldBe(now.NewImages[0].Digest);
        (await queries.FindByDigestAsync(old.Index!.Digest, CancellationToken.None)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Record_WhenAnotherPlatformOfTheSameIndexFollows_KeepsBoth()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IndexedLayer layer = Layer("l");
        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(Indexed("v1", "i", [layer], Image("a", Amd64, layer)), CancellationToken.None);

        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(Indexed("v1", "i", [], Image("b", Arm64, layer)), CancellationToken.None);

        (await proxy.GetRequiredService<IImageQueries>().FindByTagAsync(Reference("v1"), CancellationToken.None)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Start_WhenSeveralProxiesStartAtOnce_MigratesOnce()
    {
        string database = await fixture.NewDatabaseAsync(Kind);

        ServiceProvider[] proxies = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => CatalogFixture.OpenAsync(database))));

        foreach (ServiceProvider proxy in proxies)
        {
            (await proxy.GetRequiredService<IImageQueries>().FindByTagAsync(Reference("v1"), CancellationToken.None)).ShouldBeEmpty();
            await proxy.DisposeAsync();
        }
    }

    [Fact]
    public async Task Start_WhenSchemaIsNewer_RefusesAndWhenOlder_AppliesTheMissingSteps()
    {
        string connectionString = await fixture.NewDatabaseAsync(Kind);
        CatalogDatabase database = CatalogDatabase.Parse(connectionString);
        SchemaMigration[] newer = [.. SchemaMigrations.All, new(SchemaMigrations.All.Count + 1, "one more", ["CREATE TABLE extra (value {bigint})"])];
        await (await CatalogFixture.OpenAsync(connectionString)).DisposeAsync();

        await new SchemaMigrator(database, Microsoft.Extensions.Logging.Abstractions.NullLogger<SchemaMigrator>.Instance, newer).MigrateAsync(CancellationToken.None);
        FailureException failure = await Should.ThrowAsync<FailureException>(() => CatalogFixture.OpenAsync(connectionString));

        failure.Error.Code.ShouldBe("Catalog.SchemaTooNew");
    }

    [Fact]
    public async Task Start_WhenImagesWereStoredWithTheirFilesystemImages_KeepsTheRestOfThem()
    {
        string connectionString = await fixture.NewDatabaseAsync(Kind);
        CatalogDatabase database = CatalogDatabase.Parse(connectionString);
        await new SchemaMigrator(database, Microsoft.Extensions.Logging.Abstractions.NullLogger<SchemaMigrator>.Instance, [.. SchemaMigrations.All.Take(6)]).MigrateAsync(CancellationToken.None);
        IndexedImage image = Image("a", Amd64);
        await using (DbConnection connection = database.CreateConnection())
        {
            await connection.OpenAsync();
            await using DbCommand command = connection.CreateCommand();
            string blob(ReadOnlyMemory<byte> bytes) => Kind == DatabaseKind.Postgres ? $"'\\x{Convert.ToHexStringLower(bytes.Span)}'" : $"X'{Convert.ToHexStringLower(bytes.Span)}'";
            command.CommandText = $"""
                INSERT INTO images (digest, platform, media_type, manifest, config, filesystem_digest, filesystem, unit, content_order, hot_count, file_count, content_bytes, indexed_at, used_at)
                VALUES ('{image.Digest}', '{image.Platform}', '{image.MediaType}', {blob(image.Manifest)}, {blob(image.Config)}, '{image.FilesystemDigest}', {blob("old"u8.ToArray())}, {blob(image.Unit)},
                    {blob(Packed.Pack(MemoryMarshal.AsBytes<int>([2, 0, 1])))}, 1, 70000, 6000000000, 1, 1)
                """;
            await command.ExecuteNonQueryAsync();
        }

        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(connectionString);
        IndexedImage found = (await proxy.GetRequiredService<IImageCatalog>().FindImageAsync(image.Digest, CancellationToken.None))!;

        found.Unit.ToArray().ShouldBe(image.Unit.ToArray());
        found.Order.ShouldBe([2, 0, 1]);
        found.ContentBytes.ShouldBe(6_000_000_000);
    }
}

public sealed class SqliteImageCatalogTests(CatalogFixture fixture) : ImageCatalogTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Sqlite;
}

public sealed class PostgresImageCatalogTests(CatalogFixture fixture) : ImageCatalogTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Postgres;

    [Fact]
    public async Task Start_WhenDatabaseIsDown_WaitsForIt()
    {
        await using TestKit.PostgresServer server = await TestKit.PostgresServer.StartAsync();
        string database = server.CreateDatabase();
        server.Stop();
        LogCollector log = new();
        Task<ServiceProvider> starting = CatalogFixture.OpenAsync(database, log);
        await log.WaitForAsync("cannot be reached yet").WaitAsync(TimeSpan.FromSeconds(30));

        server.Start();

        await using ServiceProvider proxy = await starting.WaitAsync(TimeSpan.FromSeconds(60));
        (await proxy.GetRequiredService<IImageQueries>().FindByTagAsync(Reference("v1"), CancellationToken.None)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Find_WhenDatabaseGoesAway_FailsAsUnavailableAndWorksAgainLater()
    {
        await using TestKit.PostgresServer server = await TestKit.PostgresServer.StartAsync();
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(server.CreateDatabase());
        IImageQueries queries = proxy.GetRequiredService<IImageQueries>();
        await queries.FindByTagAsync(Reference("v1"), CancellationToken.None);
        server.Stop();

        FailureException failure = await Should.ThrowAsync<FailureException>(() => queries.FindByTagAsync(Reference("v1"), CancellationToken.None));
        server.Start();

        failure.Error.Kind.ShouldBe(ErrorKind.Unavailable);
        failure.Error.Message.ShouldNotContain("starlight@");
        (await queries.FindByTagAsync(Reference("v1"), CancellationToken.None)).ShouldBeEmpty();
    }
}
