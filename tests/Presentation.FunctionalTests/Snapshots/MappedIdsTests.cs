using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>Labels that ask the snapshotter to shift owners into a user namespace.</summary>
public sealed class MappedIdsTests : IAsyncLifetime
{
    private const string Reference = "containerd.io/snapshot.ref";
    private const string Top = "sha256:top";

    private static readonly (string, string)[] Mapping = [("containerd.io/snapshot/uidmapping", "0:100000:65536"), ("containerd.io/snapshot/gidmapping", "0:100000:65536")];

    private SnapshotterUnderTest _snapshotter = null!;

    public async Task InitializeAsync()
    {
        _snapshotter = await SnapshotterUnderTest.StartAsync();
        string tree = Path.Combine(_snapshotter.Work, "tree");
        Directory.CreateDirectory(tree);
        _snapshotter.Images.Chains[Top] = new RootFilesystemLayers(tree, null, null);
        await _snapshotter.PrepareAsync("k", "", (Reference, Top)).ShouldFailAsync(ErrorKind.AlreadyExists);
    }

    public async Task DisposeAsync() => await _snapshotter.DisposeAsync();

    [Fact]
    public async Task Prepare_OnAProvidedParent_IsRefusedClearlyAndLeavesNothing()
    {
        Error refused = await _snapshotter.PrepareAsync("c", Top, Mapping).ShouldFailAsync(ErrorKind.Unsupported);

        refused.Code.ShouldBe("Snapshot.MappedIds");
        refused.Message.ShouldContain("remap-ids");
        await _snapshotter.StatAsync("c").ShouldFailAsync(ErrorKind.NotFound);
        Directory.EnumerateFileSystemEntries(Path.Combine(_snapshotter.Root, "snapshots")).ShouldBeEmpty();
    }

    [Fact]
    public async Task Prepare_OnALayerThatContainerdRemapped_IsOrdinary()
    {
        await _snapshotter.PrepareAsync("remapped-remap", Top);
        await _snapshotter.CommitAsync("remapped", "remapped-remap");

        (await _snapshotter.PrepareAsync("c", "remapped", Mapping)).ShouldHaveSingleItem().Type.ShouldBe("overlay");
    }

    [Fact]
    public async Task Prepare_OnOrdinaryLayers_IsOrdinary() => (await _snapshotter.PrepareAsync("c", "", Mapping)).ShouldHaveSingleItem().Type.ShouldBe("bind");
}
