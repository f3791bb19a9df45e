using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Application.Indexing;

/// <summary>What layers give when they are put together.</summary>
/// <param name="Tree">What a container sees.</param>
/// <param name="Filesystem">The filesystem image of <paramref name="Tree"/>.</param>
/// <param name="Names">Digest and content list of <paramref name="Filesystem"/>.</param>
/// <param name="Order">In which order its contents are best sent.</param>
internal sealed record AssembledImage(FileTree Tree, ReadOnlyMemory<byte> Filesystem, FilesystemImageContents Names, ContentOrder Order);

/// <summary>Puts indexed layers together: all of an image's, or the first few of them. The same layers give the same bytes on every proxy.</summary>
internal sealed class ImageAssembler(ILayerScanner scanner, IFilesystemImages filesystems, IContentStore contents, IBundleFormat format)
{
    /// <param name="baseFirst">One layer's entries at a time are in memory: the merger does not keep them.</param>
    /// <param name="config">Says what a container starts.</param>
    /// <exception cref="FailureException">The layers do not fit on each other (<see cref="TreeErrors"/>), or the tree is beyond the format's limits.</exception>
    public AssembledImage Assemble(IEnumerable<IndexedLayer> baseFirst, ImageConfig config)
    {
        TreeMerger merger = new();
        foreach (IndexedLayer layer in baseFirst)
        {
            merger.Apply(scanner.DecodeIndex(layer.Index)).ThrowIfFailure();
        }

        FileTree tree = merger.Build();
        ReadOnlyMemory<byte> filesystem = filesystems.Build(tree);
        return new AssembledImage(tree, filesystem, filesystems.ReadContents(filesystem), ContentOrder.ForImage(tree, config, contents.Peek));
    }

    /// <summary>The image's part of bundle headers. Takes up to seconds for a large image.</summary>
    public ReadOnlyMemory<byte> EncodeUnit(ReadOnlyMemory<byte> manifest, string manifestMediaType, ReadOnlyMemory<byte> config, AssembledImage image) => format.EncodeUnit(new BundleImage
    {
        Manifest = manifest,
        ManifestMediaType = manifestMediaType,
        Config = config,
        FilesystemImage = image.Filesystem,
        FilesystemDigest = image.Names.Digest,
    });
}
