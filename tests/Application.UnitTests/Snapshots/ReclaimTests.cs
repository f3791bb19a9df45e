using Microsoft.Extensions.Logging.Abstractions;
using NSubstitute;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Snapshots;

namespace Starlight.Application.UnitTests.Snapshots;

/// <summary>What looking for images without a snapshot costs; it is done every two minutes.</summary>
public sealed class ReclaimTests
{
    private readonly ISnapshotStore _store = Substitute.For<ISnapshotStore>();
    private readonly IProvidedImages _images = Substitute.For<IProvidedImages>();

    [Fact]
    public async Task Reclaim_WhenOneOfManyImagesHasNoSnapshot_AsksTheStoreForThatOneOnly()
    {
        string[] chains = [.. Enumerable.Range(0, 1000).Select(i => $"sha256:{i}")];
        _images.ListQuiet(default).ReturnsForAnyArgs(chains);
        _store.Read(Arg.Any<Func<ISnapshotReader, IReadOnlySet<string>>>()).Returns(new HashSet<string>(chains[1..]));
        SnapshotService service = new(_store, Substitute.For<ISnapshotDirectories>(), _images, Substitute.For<IContainerTraces>(), TimeProvider.System, NullLogger<SnapshotService>.Instance);

        await service.ReclaimAsync(TimeSpan.Zero, CancellationToken.None);

        await _images.Received(1).ReleaseAsync(chains[0], Arg.Any<CancellationToken>());
        await _images.ReceivedWithAnyArgs(1).ReleaseAsync(default!, default);
        _store.ReceivedCalls().Count().ShouldBeLessThan(4);
    }
}
