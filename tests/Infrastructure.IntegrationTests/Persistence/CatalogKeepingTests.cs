using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Infrastructure.Persistence;
using static Starlight.Infrastructure.IntegrationTests.Persistence.SampleCatalog;

namespace Starlight.Infrastructure.IntegrationTests.Persistence;

/// <summary>Each test runs on SQLite and on a real Postgres.</summary>
public abstract class CatalogKeepingTests(CatalogFixture fixture)
{
    private static readonly DateTimeOffset Tomorrow = DateTimeOffset.UtcNow + TimeSpan.FromDays(1);
    private static readonly DateTimeOffset Yesterday = DateTimeOffset.UtcNow - TimeSpan.FromDays(1);

    internal abstract DatabaseKind Kind { get; }

    [Fact]
    public async Task Collect_AfterATagMoved_TakesTheOldImageWithItsOwnLayersWhenTheGracePeriodIsOver()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        (IImageCatalog catalog, ICatalogKeeping keeping) = Services(proxy);
        IndexedLayer shared = Layer("shared");
        IndexedLayer own = Layer("own");
        IndexedImage old = Image("old", Amd64, shared, own);
        IndexedImage now = Image("now", Amd64, shared);
        await catalog.RecordAsync(Single("v", old, shared, own), CancellationToken.None);
        await catalog.RecordAsync(Single("v", now), CancellationToken.None);

        CatalogRemoval early = await keeping.CollectAsync(Yesterday, CancellationToken.None);
        CatalogRemoval late = await keeping.CollectAsync(Tomorrow, CancellationToken.None);

        early.ShouldBe(new CatalogRemoval(0, 0, 0, 0));
        late.ShouldBe(new CatalogRemoval(0, 1, 1, 0));
        (await catalog.FindImageAsync(old.Digest, CancellationToken.None)).ShouldBeNull();
        (await catalog.FindImageAsync(now.Digest, CancellationToken.None)).ShouldNotBeNull();
        (await catalog.FindLayerAsync(shared.Digest, CancellationToken.None)).ShouldNotBeNull();
        (await catalog.FindLayerAsync(own.Digest, CancellationToken.None)).ShouldBeNull();
    }

    [Fact]
    public async Task Collect_KeepsImagesOfATaggedIndexAndThoseNotifiedByDigest()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        (IImageCatalog catalog, ICatalogKeeping keeping) = Services(proxy);
        IndexedLayer layer = Layer("l");
        await catalog.RecordAsync(Indexed("v", "multi", [layer], Image("a", Amd64, layer), Image("b", Arm64, layer)), CancellationToken.None);
        IndexedImage pinned = Image("pinned", Amd64, layer);
        await catalog.RecordAsync(Single("x", pinned, layer) with { Reference = ImageReference.Parse($"registry.example:5000/team/app@{pinned.Digest}").Value }, CancellationToken.None);

        CatalogRemoval removed = await keeping.CollectAsync(Tomorrow, CancellationToken.None);

        removed.ShouldBe(new CatalogRemoval(0, 0, 0, 0));
        (await keeping.CountAsync(CancellationToken.None)).ShouldBe(new CatalogCounts(1, 3, 1, 1));
    }

    [Fact]
    public async Task DeleteTag_LeavesTheImageUntilItIsCollected()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        (IImageCatalog catalog, ICatalogKeeping keeping) = Services(proxy);
        IndexedLayer layer = Layer("l");
        Notification notification = Indexed("v", "multi", [layer], Image("a", Amd64, layer), Image("b", Arm64, layer));
        await catalog.RecordAsync(notification, CancellationToken.None);

        CatalogRemoval deleted = await keeping.DeleteTagAsync(Reference("v"), CancellationToken.None);
        CatalogRemoval again = await keeping.DeleteTagAsync(Reference("v"), CancellationToken.None);

        deleted.Tags.ShouldBe(1);
        again.Tags.ShouldBe(0);
        (await proxy.GetRequiredService<IImageQueries>().FindByTagAsync(Reference("v"), CancellationToken.None)).ShouldBeEmpty();
        (await proxy.GetRequiredService<IImageQueries>().FindByDigestAsync(notification.Index!.Digest, CancellationToken.None)).Count.ShouldBe(2);
        (await keeping.CollectAsync(Tomorrow, CancellationToken.None)).ShouldBe(new CatalogRemoval(0, 2, 1, 1));
    }

    [Fact]
    public async Task DeleteDigest_RemovesTheImageAndItsTags()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        (IImageCatalog catalog, ICatalogKeeping keeping) = Services(proxy);
        IndexedLayer layer = Layer("l");
        IndexedImage image = Image("a", Amd64, layer);
        await catalog.RecordAsync(Single("v", image, layer), CancellationToken.None);
        await catalog.RecordAsync(Single("w", image), CancellationToken.None);

        CatalogRemoval removed = await keeping.DeleteDigestAsync(image.Digest, CancellationToken.None);

        removed.ShouldBe(new CatalogRemoval(2, 1, 0, 0));
        (await keeping.ListAsync(CancellationToken.None)).ShouldBeEmpty();
        (await catalog.FindOriginsAsync(image.Digest, CancellationToken.None)).ShouldBeEmpty();
    }

    [Fact]
    public async Task ListAndShow_TellNamesLayersAndWhereTheyCameFrom()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        (IImageCatalog catalog, ICatalogKeeping keeping) = Services(proxy);
        IndexedLayer[] layers = [Layer("l"), Layer("m") with { Members = new byte[] { 1, 2 } }];
        IndexedImage image = Image("a", Amd64, layers);
        await catalog.RecordLayerAsync(layers[0], [layers[0].Index], new ImageOrigin("r.example", "a", Insecure: false), CancellationToken.None);
        await catalog.RecordAsync(Single("v", image, layers) with { Insecure = true }, CancellationToken.None);
        await catalog.RecordAsync(Single("w", image), CancellationToken.None);

        CatalogImage listed = (await keeping.ListAsync(CancellationToken.None)).ShouldHaveSingleItem();
        CatalogImageDetails details = (await keeping.ShowAsync(image.Digest, CancellationToken.None))!;

        listed.Names.ShouldBe(["registry.example:5000/team/app:v", "registry.example:5000/team/app:w"]);
        (listed.Layers, listed.Size).ShouldBe((2, 10_000_000_000));
        details.Layers.ShouldBe([new CatalogLayer(layers[0].Digest, 5_000_000_000, true, false), new CatalogLayer(layers[1].Digest, 5_000_000_000, true, true)]);
        details.Origins.ShouldBe([new ImageOrigin("registry.example:5000", "team/app", Insecure: false)]);
        (await keeping.ShowAsync(Digest.Empty, CancellationToken.None)).ShouldBeNull();
        (await catalog.FindLayerAsync(layers[1].Digest, CancellationToken.None))!.Members.ToArray().ShouldBe([1, 2]);
    }

    [Fact]
    public async Task Touch_KeepsAnImageThatNoTagNames()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        (IImageCatalog catalog, ICatalogKeeping keeping) = Services(proxy);
        IndexedLayer layer = Layer("l");
        IndexedImage image = Image("a", Amd64, layer);
        await catalog.RecordAsync(Single("v", image, layer), CancellationToken.None);
        await keeping.DeleteTagAsync(Reference("v"), CancellationToken.None);
        DateTimeOffset between = DateTimeOffset.FromUnixTimeMilliseconds(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() + 5);
        while (DateTimeOffset.UtcNow <= between)
        {
            await Task.Yield();
        }

        await keeping.TouchAsync([image.Digest], CancellationToken.None);

        (await keeping.CollectAsync(between, CancellationToken.None)).Images.ShouldBe(0);
    }

    [Fact]
    public async Task Collect_WhileOthersRecord_NeverBreaksWhatIsBeingStored()
    {
        string database = await fixture.NewDatabaseAsync(Kind);
        await using ServiceProvider one = await CatalogFixture.OpenAsync(database);
        await using ServiceProvider two = await CatalogFixture.OpenAsync(database);
        IndexedLayer layer = Layer("l");
        using CancellationTokenSource stop = new();
        Task collecting = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await Services(two).Keeping.CollectAsync(Tomorrow, CancellationToken.None);
            }
        });

        for (int i = 0; i < 30; i++)
        {
            IndexedImage image = Image($"image{i}", Amd64, layer);
            await Services(one).Catalog.RecordLayerAsync(layer, [layer.Index], new ImageOrigin("r.example", "a", Insecure: false), CancellationToken.None);
            await Services(one).Catalog.RecordAsync(Single("v", image, layer), CancellationToken.None);
            (await Services(one).Catalog.FindImageAsync(image.Digest, CancellationToken.None)).ShouldNotBeNull();
        }

        await stop.CancelAsync();
        await collecting;
    }

    [Fact]
    public async Task Claim_IsOneProxysUntilItReleasesOrExpires()
    {
        string database = await fixture.NewDatabaseAsync(Kind);
        await using ServiceProvider one = await CatalogFixture.OpenAsync(database);
        await using ServiceProvider two = await CatalogFixture.OpenAsync(database);
        (IClaims first, IClaims second) = (one.GetRequiredService<IClaims>(), two.GetRequiredService<IClaims>());
        TimeSpan hour = TimeSpan.FromHours(1);

        (await first.TryTakeAsync("a", hour, CancellationToken.None)).ShouldBeTrue();
        (await first.TryTakeAsync("a", hour, CancellationToken.None)).ShouldBeTrue("extended");
        (await second.TryTakeAsync("a", hour, CancellationToken.None)).ShouldBeFalse();
        (await second.TryTakeAsync("b", hour, CancellationToken.None)).ShouldBeTrue();
        await second.ReleaseAsync("a", CancellationToken.None);
        (await second.TryTakeAsync("a", hour, CancellationToken.None)).ShouldBeFalse("it was not the second's to release");
        await first.ReleaseAsync("a", CancellationToken.None);
        (await second.TryTakeAsync("a", TimeSpan.FromMilliseconds(-1), CancellationToken.None)).ShouldBeTrue();
        (await first.TryTakeAsync("a", hour, CancellationToken.None)).ShouldBeTrue("the second's has expired");
    }

    private static (IImageCatalog Catalog, ICatalogKeeping Keeping) Services(ServiceProvider proxy) => (proxy.GetRequiredService<IImageCatalog>(), proxy.GetRequiredService<ICatalogKeeping>());
}

public sealed class SqliteCatalogKeepingTests(CatalogFixture fixture) : CatalogKeepingTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Sqlite;
}

public sealed class PostgresCatalogKeepingTests(CatalogFixture fixture) : CatalogKeepingTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Postgres;
}
