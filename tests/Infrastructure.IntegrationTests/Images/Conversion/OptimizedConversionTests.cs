using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Convert;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.Conversion;

/// <summary>Conversions that ask a proxy which files come first.</summary>
public sealed class OptimizedConversionTests : ConversionTest
{
    [Fact]
    public async Task Convert_WhenProxyKnowsAnOrder_PutsItsFilesFirstAndKeepsTheTree()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        ConvertedImage plain = (await SendAsync("src:1", "plain:1")).Value.Images[0];

        ConvertedImage result = (await SendAsync("src:1", "dst:1", orders: Orders("dst:1", "traces", "/etc/c", "/etc/b", "/etc/gone"))).Value.Images[0];

        (await EntriesAsync("dst:1", 0)).ShouldBe(["etc", "etc/b", "etc/a"]);
        (await EntriesAsync("dst:1", 1)).ShouldBe(["etc/c", "etc/.wh.b"]);
        (result.FilesystemDigest, Manifest("dst", "1").Annotations[StarlightAnnotations.FilesystemDigest]).ShouldBe((plain.FilesystemDigest, plain.FilesystemDigest.ToString()));
        FileOrder order = result.Order.ShouldNotBeNull();
        (order.Basis, order.Traces, order.Origin.Repository, order.Files.Paths.Count).ShouldBe(("traces", 3, "dst", 3));
        plain.Order.ShouldBeNull();
    }

    [Fact]
    public async Task Convert_WhenRepeatedWithTheSameOrder_GivesTheSameDigestAndSendsNoBlob()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        Digest first = (await SendAsync("src:1", "dst:1", orders: Orders("dst:1", "traces", "/etc/b"))).Value.Digest;
        int before = _registry.Requests.Count;

        ConvertImageResult again = (await SendAsync("src:1", "dst:1", orders: Orders("dst:1", "traces", "/etc/b"))).Value;

        (again.Digest, again.Images[0].ReusedLayers).ShouldBe((first, 2));
        Transfers(before).ShouldBeEmpty();
    }

    [Fact]
    public async Task Convert_WhenOrderChanges_ConvertsOnlyLayersThatItConcerns()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        Digest plain = (await SendAsync("src:1", "dst:1")).Value.Digest;
        Digest first = (await SendAsync("src:1", "dst:1", orders: Orders("dst:1", "traces", "/etc/b"))).Value.Digest;
        int before = _registry.Requests.Count;

        ConvertImageResult second = (await SendAsync("src:1", "dst:1", orders: Orders("dst:1", "traces", "/etc/c", "/etc/b"))).Value;

        new[] { plain, first, second.Digest }.Distinct().Count().ShouldBe(3);
        second.Images[0].ReusedLayers.ShouldBe(1);
        Transfers(before).ShouldNotContain(t => t.EndsWith(LayerPaths("src", "1")[0], StringComparison.Ordinal), "nothing of the lower layer has changed its place");
        (await SendAsync("src:1", "dst:1")).Value.Digest.ShouldBe(plain);
    }

    [Fact]
    public async Task Convert_WhenCacheIsLost_RecognisesTheOrderAtTheDestination()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        Digest first = (await SendAsync("src:1", "dst:1", orders: Orders("dst:1", "traces", "/etc/b"))).Value.Digest;
        await using ServiceProvider other = Services("cache2");
        await using ServiceProvider third = Services("cache3");
        int before = _registry.Requests.Count;

        ConvertImageResult again = (await SendAsync("src:1", "dst:1", services: other, orders: Orders("dst:1", "traces", "/etc/b"))).Value;

        (again.Digest, again.Images[0].ReusedLayers).ShouldBe((first, 2));
        Transfers(before).ShouldNotContain(t => t.Contains("/v2/src/", StringComparison.Ordinal) && LayerPaths("src", "1").Any(t.EndsWith));
        (await SendAsync("src:1", "dst:1", services: third)).Value.Digest.ShouldBe((await SendAsync("src:1", "fresh:1", services: Services("cache4"))).Value.Digest, "without an order it is as if there had never been one");
    }

    [Fact]
    public async Task Convert_WhenSourceIsEStargzAlready_ReordersItsContent()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        Digest tree = (await SendAsync("src:1", "dst:1")).Value.Images[0].FilesystemDigest;

        ConvertImageResult result = (await SendAsync("dst:1", "dst:2", orders: Orders("dst:1", "traces", "/etc/b"))).Value;

        (await EntriesAsync("dst:2", 0)).ShouldBe(["etc", "etc/b", "etc/a"]);
        result.Images[0].FilesystemDigest.ShouldBe(tree);
        Manifest("dst", "2").Layers[1].Digest.ShouldBe(Manifest("dst", "1").Layers[1].Digest, "it has no file that comes first");
        (await SendAsync("dst:2", "dst:3", services: Services("cache2"), orders: Orders("dst:2", "traces", "/etc/b"))).Value.Digest.ShouldBe(result.Digest);
    }

    [Fact]
    public async Task Convert_WhenSourceIsOnlyPredicted_TakesWhatWasTracedAtTheDestination()
    {
        AddImage("src", "1", [Base], MediaTypes.OciManifest);
        FakeOrders orders = new(new()
        {
            [Reference("src:1")] = [Order("linux/amd64", "predicted", "/etc/a")],
            [Reference("dst:1")] = [Order("linux/amd64", "inherited", "/etc/b")],
        });

        (await SendAsync("src:1", "dst:1", orders: orders)).Value.Images[0].Order!.Basis.ShouldBe("inherited");

        (await EntriesAsync("dst:1", 0)).ShouldBe(["etc", "etc/b", "etc/a"]);
        orders.Asked.ShouldBe([(Reference("src:1"), false), (Reference("dst:1"), true)]);
    }

    [Fact]
    public async Task Convert_WhenBothAreTraced_TakesTheSource()
    {
        AddImage("src", "1", [Base], MediaTypes.OciManifest);
        FakeOrders orders = new(new()
        {
            [Reference("src:1")] = [Order("linux/amd64", "traces", "/etc/a")],
            [Reference("dst:1")] = [Order("linux/amd64", "traces", "/etc/b")],
        });

        (await SendAsync("src:1", "dst:1", orders: orders)).Value.Images[0].Order!.Origin.Repository.ShouldBe("src");
    }

    [Fact]
    public async Task Convert_WhenProxyKnowsNoOrder_SaysSoAndSendsNothing()
    {
        AddImage("src", "1", [Base], MediaTypes.OciManifest);

        Error error = (await SendAsync("src:1", "dst:1", orders: Orders("other:1", "traces", "/etc/a"))).Error.ShouldNotBeNull();

        (error.Code, error.Kind).ShouldBe(("Convert.OrderUnknown", ErrorKind.NotFound));
        _registry.Requests.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(ErrorKind.Unavailable)]
    [InlineData(ErrorKind.Unauthenticated)]
    [InlineData(ErrorKind.PermissionDenied)]
    [InlineData(ErrorKind.NotFound)]
    public async Task Convert_WhenProxyDoesNotAnswer_FailsAsItSaysAndSendsNothing(ErrorKind kind)
    {
        AddImage("src", "1", [Base], MediaTypes.OciManifest);
        FakeOrders orders = new([]) { Failure = new Error("Proxy.Test", "no", kind) };

        (await SendAsync("src:1", "dst:1", orders: orders)).Error.ShouldBe(orders.Failure);

        _registry.Requests.ShouldBeEmpty();
    }

    [Fact]
    public async Task Convert_WhenOnePlatformHasNoOrder_NamesItBeforeAnythingIsSent()
    {
        AddIndex();

        Error error = (await SendAsync("src:idx", "dst:1", orders: Orders("dst:1", "traces", "/etc/a"))).Error.ShouldNotBeNull();

        error.Code.ShouldBe("Convert.OrderUnknown");
        error.Message.ShouldContain("linux/arm64");
        _registry.Requests.ShouldNotContain(r => r.Path.Contains("/uploads/", StringComparison.Ordinal) || r.Method == "PUT");
        (await SendAsync("src:idx", "dst:1", PlatformSelection.Of(Platform.Parse("linux/amd64").Value), orders: Orders("dst:1", "traces", "/etc/b"))).IsSuccess.ShouldBeTrue();
    }

    private FakeOrders Orders(string image, string basis, params string[] paths) => new(new() { [Reference(image)] = [Order("linux/amd64", basis, paths)] });

    private static SentOrder Order(string platform, string basis, params string[] paths) => new(
        platform, Digest.Of("m"u8).ToString(), basis, 3, null, paths.Length, 10, 20, [], [.. paths.Select((p, i) => new SentContent(Digest.Of([(byte)i]).ToString(), 1, null, null, 0, [p]))]);

    private ImageReference Reference(string image) => ImageReference.Parse($"{_registry.Host}/{image}").Value;

    private async Task<string[]> EntriesAsync(string image, int layer)
    {
        string[] parts = image.Split(':');
        LayerScan scan = await LayerBlobs.ScanAsync(_registry.Blobs[Manifest(parts[0], parts[1]).Layers[layer].Digest.ToString()]);
        return [.. scan.Entries.Select(e => e.Path.Display)];
    }

    /// <summary>Blobs read and sent since.</summary>
    private string[] Transfers(int before) =>
        [.. _registry.Requests.Skip(before).Where(r => r.Path.Contains("/uploads/", StringComparison.Ordinal) || (r.Method == "GET" && LayerPaths("src", "1").Contains(r.Path))).Select(r => $"{r.Method} {r.Path}")];

    private sealed class FakeOrders(Dictionary<ImageReference, SentOrder[]> known) : IImageOrders
    {
        public List<(ImageReference Reference, bool AnyVersion)> Asked { get; } = [];

        public Error? Failure { get; init; }

        public Task<IReadOnlyList<SentOrder>> FindAsync(ImageReference reference, bool anyVersion, CancellationToken cancellationToken)
        {
            Asked.Add((reference, anyVersion));
            Error? failure = Failure ?? (known.ContainsKey(reference) ? null : new Error("Image.NotIndexed", "not known", ErrorKind.NotFound));
            return failure is null ? Task.FromResult<IReadOnlyList<SentOrder>>(known[reference]) : throw new FailureException(failure);
        }
    }
}
