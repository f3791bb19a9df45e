using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Unpacking;
using Starlight.Infrastructure.WorkerImages;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>What the library does for containers on kernels without data-only layers.</summary>
public sealed class UnpackedRootsTests : IDisposable
{
    private readonly RootsRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Prepare_OfACompleteTree_BuildsItOnceAndMountsNothing()
    {
        using UnpackedRoots roots = _rig.Unpacked();
        _rig.Complete();

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => roots.PrepareAsync(_rig.Tree, CancellationToken.None)));

        roots.SupportsEarlyStart.ShouldBeFalse();
        RootFilesystemLayers layers = roots.Attach(_rig.Tree, "one");
        (layers.GateDirectory, layers.ObjectsDirectory, layers.TailDirectory).ShouldBe((null, null, null));
        TreeText.Full(RealTree.Read(layers.MetadataDirectory).Tree).ShouldBe(TreeText.Full(_rig.Files));
        _rig.Mounts().ShouldBeEmpty();
        DateTime built = Directory.GetCreationTimeUtc(layers.MetadataDirectory);
        await roots.PrepareAsync(_rig.Tree, CancellationToken.None);
        Directory.GetCreationTimeUtc(layers.MetadataDirectory).ShouldBe(built);
    }

    [Fact]
    public async Task Prepare_WhenTheWaitIsCancelled_GoesOnForTheOthers()
    {
        SlowImages images = new();
        using UnpackedRoots roots = _rig.Unpacked(images);
        _rig.Complete();
        Task first = roots.PrepareAsync(_rig.Tree, CancellationToken.None);

        await Should.ThrowAsync<OperationCanceledException>(async () => await roots.PrepareAsync(_rig.Tree, new CancellationToken(canceled: true)));

        images.Go.Set();
        await first;
        Directory.Exists(_rig.Tree.UnpackedDirectory).ShouldBeTrue();
    }

    [Fact]
    public async Task Prepare_WhenTheFilesystemImageIsGone_SaysSo()
    {
        using UnpackedRoots roots = _rig.Unpacked();
        _rig.Complete();
        File.Delete(_rig.Tree.FilesystemImagePath);

        Error error = (await Should.ThrowAsync<FailureException>(() => roots.PrepareAsync(_rig.Tree, CancellationToken.None))).Error;

        error.Code.ShouldBe("Tree.NotBuilt");
        error.Message.ShouldContain("pull the image again");
    }

    [Fact]
    public async Task Prepare_WhenItHasFailed_CanBeTriedAgain()
    {
        using UnpackedRoots roots = _rig.Unpacked();

        (await Should.ThrowAsync<FailureException>(() => roots.PrepareAsync(_rig.Tree, CancellationToken.None))).Error.Code.ShouldBe("Tree.ContentMissing");
        Directory.Exists(TreeUnpacker.UnfinishedPath(_rig.Tree.UnpackedDirectory)).ShouldBeFalse();
        _rig.Complete();

        await roots.PrepareAsync(_rig.Tree, CancellationToken.None);
        Directory.Exists(_rig.Tree.UnpackedDirectory).ShouldBeTrue();
    }

    [Fact]
    public async Task Release_WhileATreeIsBeingBuilt_StopsTheBuilding()
    {
        SlowImages images = new();
        using UnpackedRoots roots = _rig.Unpacked(images);
        _rig.Complete();
        Task building = roots.PrepareAsync(_rig.Tree, CancellationToken.None);

        Task released = roots.ReleaseAsync(_rig.Tree);
        images.Go.Set();
        await released;

        await Should.ThrowAsync<OperationCanceledException>(() => building);
        Directory.GetFileSystemEntries(_rig.Tree.Directory).ShouldBe([_rig.Tree.FilesystemImagePath]);
    }

    /// <summary>Does not give the tree until told to.</summary>
    private sealed class SlowImages : IFilesystemImages
    {
        private readonly ErofsFilesystemImages _images = new();

        public ManualResetEventSlim Go { get; } = new();

        public BuiltFilesystem Build(FileTree tree) => _images.Build(tree);

        public FilesystemImageContents ReadContents(ReadOnlyMemory<byte> image) => _images.ReadContents(image);

        public KnownImage ReadNames(ReadOnlyMemory<byte> image, Digest digest) => _images.ReadNames(image, digest);

        public FileTree ReadTree(ReadOnlyMemory<byte> image)
        {
            Go.Wait();
            return _images.ReadTree(image);
        }
    }
}
