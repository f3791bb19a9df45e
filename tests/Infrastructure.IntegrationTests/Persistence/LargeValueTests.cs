using System.Data.Common;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Persistence;
using static Starlight.Infrastructure.IntegrationTests.Persistence.SampleCatalog;

namespace Starlight.Infrastructure.IntegrationTests.Persistence;

/// <summary>Values that are stored in parts, on SQLite and on a real Postgres.</summary>
public abstract class LargeValueTests(CatalogFixture fixture)
{
    private static readonly ImageOrigin Origin = new("registry.example:5000", "team/app", Insecure: false);

    internal abstract DatabaseKind Kind { get; }

    [Theory]
    [InlineData(Parts.MaxInline, 100, false)]
    [InlineData(Parts.MaxInline + 1, 0, true)]
    [InlineData(Parts.MaxInline + 1, 100, true)]
    [InlineData((5 * Parts.MaxInline) + 123, Parts.MaxInline + 1, true)]
    public async Task RecordLayer_WhateverItsLength_GivesItBackByteForByte(int length, int members, bool isLarge)
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IImageCatalog catalog = proxy.GetRequiredService<IImageCatalog>();
        byte[] index = Bytes(length);
        IndexedLayer layer = Layer("l") with { Index = default, Members = Bytes(members) };

        IndexedLayer recorded = await catalog.RecordLayerAsync(layer, [index.AsMemory(0, 7), index.AsMemory(7, 300_000), index.AsMemory(300_007)], Origin, CancellationToken.None);
        await catalog.RecordLayerAsync(layer, [index], Origin, CancellationToken.None);
        IndexedLayer found = (await catalog.FindLayerAsync(layer.Digest, CancellationToken.None))!;

        foreach (IndexedLayer one in (IndexedLayer[])[recorded, found])
        {
            one.IsLarge.ShouldBe(isLarge);
            (one with { Index = default, Members = default }).ShouldBe(layer with { Members = default });
            using LayerIndex opened = await catalog.OpenIndexAsync(one, CancellationToken.None);
            opened.Entries.Span.SequenceEqual(index).ShouldBeTrue();
            opened.Members.Span.SequenceEqual(layer.Members.Span).ShouldBeTrue();
        }
    }

    [Theory]
    [InlineData(Parts.MaxInline)]
    [InlineData(Parts.MaxInline + 1)]
    [InlineData(3 * Parts.MaxInline)]
    public async Task Record_OfAnImageWhateverItsLength_GivesItBackByteForByte(int length)
    {
        string database = await fixture.NewDatabaseAsync(Kind);
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(database);
        IImageCatalog catalog = proxy.GetRequiredService<IImageCatalog>();
        IndexedLayer layer = Layer("l");
        IndexedImage image = WithUnit(Image("a", Amd64, layer), Bytes(length));

        await catalog.RecordAsync(Single("v1", image, layer), CancellationToken.None);
        await catalog.RecordAsync(Single("v2", image, layer), CancellationToken.None);

        (await catalog.FindImageAsync(image.Digest, CancellationToken.None))!.Unit.Span.SequenceEqual(image.Unit.Span).ShouldBeTrue();
        await proxy.GetRequiredService<ICatalogKeeping>().DeleteDigestAsync(image.Digest, CancellationToken.None);
        await proxy.GetRequiredService<ICatalogKeeping>().CollectAsync(DateTimeOffset.UtcNow.AddDays(1), CancellationToken.None);
        (await CountAsync(database, "image_parts")).ShouldBe(0);
    }

    [Fact]
    public async Task Record_WhenALargeLayerWasCollectedMeanwhile_SaysSoAndStoresNothing()
    {
        string database = await fixture.NewDatabaseAsync(Kind);
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(database);
        IImageCatalog catalog = proxy.GetRequiredService<IImageCatalog>();
        IndexedLayer layer = await catalog.RecordLayerAsync(Layer("l"), [Bytes(Parts.MaxInline + 1)], Origin, CancellationToken.None);
        IndexedImage image = Image("a", Amd64, layer);
        (await CountAsync(database, "layer_parts")).ShouldBeGreaterThan(0);

        await proxy.GetRequiredService<ICatalogKeeping>().CollectAsync(DateTimeOffset.UtcNow.AddDays(1), CancellationToken.None);

        (await CountAsync(database, "layer_parts")).ShouldBe(0);
        (await Should.ThrowAsync<FailureException>(() => catalog.OpenIndexAsync(layer, CancellationToken.None))).Error.Code.ShouldBe("Layer.Collected");
        (await Should.ThrowAsync<FailureException>(() => catalog.RecordAsync(Single("v1", image, layer), CancellationToken.None))).Error.Code.ShouldBe("Layer.Collected");
        (await catalog.FindImageAsync(image.Digest, CancellationToken.None)).ShouldBeNull();
    }

    [Theory]
    [InlineData("DELETE FROM layer_parts WHERE number = 0")]
    [InlineData("DELETE FROM layer_parts WHERE number = 3")]
    [InlineData("DELETE FROM layer_parts WHERE number > 3")]
    [InlineData("UPDATE layer_parts SET number = 3000 WHERE number = 2")]
    [InlineData("INSERT INTO layer_parts (layer, value, number, bytes) SELECT layer, value, 5000, bytes FROM layer_parts WHERE number = 0")]
    public async Task OpenIndex_WhenPartsAreNotThoseThatWereStored_FailsAsCorrupt(string damage)
    {
        string database = await fixture.NewDatabaseAsync(Kind);
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(database);
        IImageCatalog catalog = proxy.GetRequiredService<IImageCatalog>();
        IndexedLayer layer = await catalog.RecordLayerAsync(Layer("l"), [Bytes(3 * Parts.MaxInline)], Origin, CancellationToken.None);
        await using (DbConnection connection = CatalogDatabase.Parse(database).CreateConnection())
        {
            await connection.OpenAsync();
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = damage;
            (await command.ExecuteNonQueryAsync()).ShouldBeGreaterThan(0);
        }

        (await Should.ThrowAsync<FailureException>(() => catalog.OpenIndexAsync(layer, CancellationToken.None))).Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    private static async Task<long> CountAsync(string database, string table)
    {
        await using DbConnection connection = CatalogDatabase.Parse(database).CreateConnection();
        await connection.OpenAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = $"SELECT COUNT(*) FROM {table}";
        return Convert.ToInt64(await command.ExecuteScalarAsync(), System.Globalization.CultureInfo.InvariantCulture);
    }

    private static IndexedImage WithUnit(IndexedImage image, byte[] unit) => new()
    {
        Digest = image.Digest,
        Platform = image.Platform,
        MediaType = image.MediaType,
        Manifest = image.Manifest,
        Config = image.Config,
        FilesystemDigest = image.FilesystemDigest,
        Unit = unit,
        Layers = image.Layers,
        Order = image.Order,
        HotCount = image.HotCount,
        FileCount = image.FileCount,
        ContentBytes = image.ContentBytes,
        IndexedAt = image.IndexedAt,
    };

    /// <summary>Half of it compresses.</summary>
    private static byte[] Bytes(int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes.AsSpan(0, length / 2));
        return bytes;
    }
}

public sealed class SqliteLargeValueTests(CatalogFixture fixture) : LargeValueTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Sqlite;
}

public sealed class PostgresLargeValueTests(CatalogFixture fixture) : LargeValueTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Postgres;
}
