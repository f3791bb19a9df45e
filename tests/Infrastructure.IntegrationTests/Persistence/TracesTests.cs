using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Infrastructure.Persistence;
using static Starlight.Infrastructure.IntegrationTests.Persistence.SampleCatalog;

namespace Starlight.Infrastructure.IntegrationTests.Persistence;

public abstract class TracesTests(CatalogFixture fixture)
{
    private static readonly DateTimeOffset Now = new(2026, 5, 6, 7, 8, 9, TimeSpan.Zero);
    private static readonly IndexedLayer Base = Layer("base");

    internal abstract DatabaseKind Kind { get; }

    [Fact]
    public async Task Record_GivesEverythingBack()
    {
        (ServiceProvider proxy, IndexedImage image) = await OpenAsync();
        await using ServiceProvider _ = proxy;
        ITraces traces = proxy.GetRequiredService<ITraces>();
        ReportedTrace trace = Seen(image, worker: "edge", account: "team", group: new TraceGroup("shop", Guid.NewGuid(), TimeSpan.FromMilliseconds(1234)));

        (await traces.RecordAsync(trace, default)).ShouldBe(TraceReceipt.Stored);
        (await traces.RecordAsync(trace, default)).ShouldBe(TraceReceipt.Known);

        ReportedTrace found = (await traces.FindAsync(image.Digest, default)).Traces.ShouldHaveSingleItem();
        (found.Account, found.Worker).ShouldBe(("team", "edge"));
        (found.Trace.Id, found.Trace.Image, found.Trace.Source, found.Trace.Group, found.Trace.StartedAt).ShouldBe((trace.Trace.Id, image.Digest, TraceSource.Label, trace.Trace.Group, trace.Trace.StartedAt));
        found.Trace.Opens.ShouldBe(trace.Trace.Opens);
    }

    [Fact]
    public async Task Record_WhenImageIsUnknown_StoresNothing()
    {
        (ServiceProvider proxy, _) = await OpenAsync();
        await using ServiceProvider __ = proxy;
        IndexedImage other = Image("other", Amd64, Base);

        (await proxy.GetRequiredService<ITraces>().RecordAsync(Seen(other), default)).ShouldBe(TraceReceipt.ImageUnknown);

        (await proxy.GetRequiredService<ITraces>().FindAsync(other.Digest, default)).Traces.ShouldBeEmpty();
    }

    [Fact]
    public async Task Record_OfMoreThanCount_ForgetsTheOldestOfTheSameWorkerAndAccountOnly()
    {
        (ServiceProvider proxy, IndexedImage image) = await OpenAsync();
        await using ServiceProvider _ = proxy;
        ITraces traces = proxy.GetRequiredService<ITraces>();
        await traces.RecordAsync(Seen(image, worker: "quiet", daysAgo: 400, account: "a"), default);
        await traces.RecordAsync(Seen(image, worker: "quiet", daysAgo: 400, account: "b"), default);
        for (int i = 20; i > 0; i--)
        {
            await traces.RecordAsync(Seen(image, worker: "busy", daysAgo: i, account: "a"), default);
        }

        IReadOnlyList<ReportedTrace> found = (await traces.FindAsync(image.Digest, default)).Traces;

        found.Count(t => t.Worker == "busy").ShouldBe(TraceMerge.MaxTracesOfWorker);
        found.Where(t => t.Worker == "busy").ShouldAllBe(t => t.Trace.StartedAt >= Now.AddDays(-TraceMerge.MaxTracesOfWorker));
        found.Where(t => t.Worker == "quiet").Select(t => t.Account).Order(StringComparer.Ordinal).ShouldBe(["a", "b"]);
    }

    [Fact]
    public async Task Record_FromManyConnectionsAtOnce_StoresAllAndCountsThem()
    {
        (ServiceProvider proxy, IndexedImage image) = await OpenAsync();
        await using ServiceProvider _ = proxy;
        ITraces traces = proxy.GetRequiredService<ITraces>();
        ReportedTrace same = Seen(image, worker: "same");

        TraceReceipt[] receipts = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => Task.Run(() => traces.RecordAsync(i % 2 == 0 ? same : Seen(image, worker: $"{i}"), default))));

        receipts.Count(r => r == TraceReceipt.Stored).ShouldBe(7);
        ImageTraces found = await traces.FindAsync(image.Digest, default);
        found.Traces.Count.ShouldBe(7);
        found.Revision.ShouldBeGreaterThanOrEqualTo(7);
    }

    [Fact]
    public async Task SaveOrder_WhenALaterOneIsStored_KeepsThat()
    {
        (ServiceProvider proxy, IndexedImage image) = await OpenAsync();
        await using ServiceProvider _ = proxy;
        ITraces traces = proxy.GetRequiredService<ITraces>();
        IndexedOrder later = Order([1, 2, 0], revision: 5);
        (await NameAsync(proxy)).ShouldBeNull();

        await traces.SaveOrderAsync(image.Digest, later, default);
        await traces.SaveOrderAsync(image.Digest, Order([0, 1, 2], revision: 4), default);

        IndexedOrder found = (await proxy.GetRequiredService<IImageCatalog>().FindImageAsync(image.Digest, default))!.Learned!;
        found.Order.ShouldBe(later.Order);
        found.Moments.ShouldBe(later.Moments);
        found.Groups.ShouldBe(later.Groups, ignoreOrder: true);
        (found.HotCount, found.Traces, found.InheritedFrom, found.Revision).ShouldBe((later.HotCount, later.Traces, later.InheritedFrom, later.Revision));
        (await NameAsync(proxy)).ShouldBe(later.Name());
        (await proxy.GetRequiredService<IImageQueries>().FindByDigestAsync(image.Digest, default)).Values.ShouldHaveSingleItem().Order.ShouldBe(later.Name());

        await traces.SaveOrderAsync(image.Digest, Order([2, 1, 0], revision: 6), default);
        (await NameAsync(proxy)).ShouldNotBe(later.Name());
    }

    [Fact]
    public async Task Delete_OfAnImage_TakesItsTracesAndOrderAlong()
    {
        (ServiceProvider proxy, IndexedImage image) = await OpenAsync();
        await using ServiceProvider _ = proxy;
        ITraces traces = proxy.GetRequiredService<ITraces>();
        await traces.RecordAsync(Seen(image), default);
        await traces.SaveOrderAsync(image.Digest, Order([1, 2, 0], revision: 1), default);

        await proxy.GetRequiredService<ICatalogKeeping>().DeleteDigestAsync(image.Digest, default);
        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(Single("v1", image, Base), default);

        (await traces.FindAsync(image.Digest, default)).Traces.ShouldBeEmpty();
        (await proxy.GetRequiredService<IImageCatalog>().FindImageAsync(image.Digest, default))!.Learned.ShouldBeNull();
    }

    [Fact]
    public async Task FindRelatives_TellsVersionsFromImagesThatShareALayer()
    {
        (ServiceProvider proxy, IndexedImage image) = await OpenAsync();
        await using ServiceProvider _ = proxy;
        IImageCatalog catalog = proxy.GetRequiredService<IImageCatalog>();
        IndexedLayer own = Layer("own");
        IndexedImage version = Image("second", Amd64, own);
        IndexedImage arm = Image("third", Arm64, own);
        IndexedImage stranger = Image("fourth!", Amd64, own);
        IndexedImage neighbour = Image("neighbour", Amd64, Base, own);
        await catalog.RecordAsync(Single("v2", version, own), default);
        await catalog.RecordAsync(Single("v3", arm, own), default);
        await catalog.RecordAsync(Single("x", stranger, own) with { Reference = Elsewhere("stranger") }, default);
        await catalog.RecordAsync(Single("x", neighbour, Base, own) with { Reference = Elsewhere("neighbour") }, default);
        await proxy.GetRequiredService<ITraces>().RecordAsync(Seen(version), default);

        IReadOnlyList<RelatedImage> relatives = await proxy.GetRequiredService<ITraces>().FindRelativesAsync(image.Digest, default);

        relatives.ShouldBe(
            [new RelatedImage(version.Digest, IsVersion: true, HasTraces: true, HasOrder: false), new RelatedImage(neighbour.Digest, IsVersion: false, HasTraces: false, HasOrder: false)],
            ignoreOrder: true);
    }

    private static Starlight.Domain.References.ImageReference Elsewhere(string name) => Starlight.Domain.References.ImageReference.Parse($"registry.example:5000/other/{name}:x").Value;

    private static IndexedOrder Order(int[] order, long revision) =>
        new(order, 2, [0, 15], new Dictionary<string, TimeSpan> { ["shop"] = TimeSpan.FromMilliseconds(3), ["a.b-c"] = TimeSpan.Zero }, 3, Digest.Of("older"u8), revision);

    private static ReportedTrace Seen(IndexedImage image, string worker = "w", int daysAgo = 0, string account = "", TraceGroup? group = null) => new(
        account,
        worker,
        Trace.Create(
            Guid.NewGuid(),
            image.Digest,
            TraceSource.Label,
            group,
            Now.AddDays(-daysAgo),
            [new FirstOpen(Digest.Of("a"u8), TimeSpan.FromMicroseconds(7), TimeSpan.Zero), new FirstOpen(Digest.Of("b"u8), TimeSpan.FromDays(3), TimeSpan.FromMicroseconds(9))],
            Now).Value);

    private async Task<(ServiceProvider Proxy, IndexedImage Image)> OpenAsync()
    {
        ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IndexedImage image = Image("first", Amd64, Base);
        await proxy.GetRequiredService<IImageCatalog>().RecordAsync(Single("v1", image, Base), default);
        return (proxy, image);
    }

    private static async Task<Digest?> NameAsync(ServiceProvider proxy)
    {
        IReadOnlyDictionary<Platform, NamedImage> platforms = await proxy.GetRequiredService<IImageQueries>().FindByTagAsync(Reference("v1"), default);
        return platforms[Amd64].Order;
    }
}

public sealed class SqliteTracesTests(CatalogFixture fixture) : TracesTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Sqlite;
}

public sealed class PostgresTracesTests(CatalogFixture fixture) : TracesTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Postgres;
}
