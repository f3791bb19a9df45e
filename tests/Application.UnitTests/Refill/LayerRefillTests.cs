using NSubstitute;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Refill;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.UnitTests.Refill;

public class LayerRefillTests
{
    private readonly HashSet<Digest> _stored = [];
    private readonly IContentStore _store = Substitute.For<IContentStore>();
    private readonly ILayerContents _members = Substitute.For<ILayerContents>();
    private readonly ILayerScanner _scanner = Substitute.For<ILayerScanner>();

    public LayerRefillTests()
    {
        IReadOnlyCollection<ContentRef> kept = [];
        _store.Contains(Arg.Any<Digest>()).Returns(call => _stored.Contains(call.Arg<Digest>()));
        _store.OpenIntake(Arg.Do<IReadOnlyCollection<ContentRef>>(only => kept = only)).Returns(_ => Substitute.For<IContentIntake>());
        _scanner.ScanAsync(Arg.Any<Stream>(), Arg.Any<string>(), Arg.Any<IContentSink>(), Arg.Any<CancellationToken>()).Returns(_ =>
        {
            _stored.UnionWith(kept.Select(c => c.Digest));
            return Task.FromResult(new LayerScan([], default, 0, IsEStargz: true));
        });
    }

    [Fact]
    public async Task ReadAsync_WhenTheRegistryServesNoParts_ScansTheLayerOnceForAllThatIsWanted()
    {
        ContentRef[] wanted = [.. Enumerable.Range(0, 50).Select(i => new ContentRef(Digest.Of([(byte)i]), 5 << 20))];
        _members.Locate(Arg.Any<LayerIndex>(), Arg.Any<IReadOnlySet<Digest>>()).Returns(wanted.Select(c => new LocatedContent(c, [new ContentPiece(0, 1, 0, c.Size)])).ToList());
        _members.ReadAsync(Arg.Any<OpenBlobRange>(), Arg.Any<IReadOnlyList<LocatedContent>>(), Arg.Any<IContentSink>(), Arg.Any<CancellationToken>())
            .Returns(Task.FromException(new FailureException(new Error("Registry.NoRanges", "no parts", ErrorKind.Unsupported))));
        IImageCatalog catalog = Substitute.For<IImageCatalog>();
        catalog.OpenIndexAsync(Arg.Any<IndexedLayer>(), Arg.Any<CancellationToken>()).Returns(_ => new LayerIndex(default, default));
        LayerRefill refill = new(catalog, _store, _members, _scanner, Substitute.For<IImageTransports>());
        List<Digest> arrived = [];

        await refill.ReadAsync(
            new ContentOrigin([new IndexedLayer(Digest.Of("layer"u8), Digest.Of("diff"u8), 1, 1, IsEStargz: true, default)], [new ImageOrigin("registry.example", "app", Insecure: false)]),
            wanted,
            content =>
            {
                lock (arrived)
                {
                    arrived.Add(content);
                }
            },
            CancellationToken.None);

        arrived.ShouldBe(wanted.Select(c => c.Digest), ignoreOrder: true);
        await _scanner.Received(1).ScanAsync(Arg.Any<Stream>(), Arg.Any<string>(), Arg.Any<IContentSink>(), Arg.Any<CancellationToken>());
    }
}
