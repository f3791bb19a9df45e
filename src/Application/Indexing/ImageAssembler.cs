using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Refill;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Application.Indexing;

/// <summary>What layers give when they are put together.</summary>
/// <param name="FileCount">Names of the tree that are not directories.</param>
/// <param name="Filesystem">The tree as a container sees it, without contents; belongs to this.</param>
/// <param name="Names">Content list of <paramref name="Filesystem"/>.</param>
/// <param name="Order">In which order its contents are best sent.</param>
internal sealed record AssembledImage(int FileCount, BuiltFilesystem Filesystem, FilesystemImageContents Names, ContentOrder Order) : IDisposable
{
    public void Dispose() => Filesystem.Dispose();
}

/// <summary>Puts indexed layers together: all of an image's, or the first few of them. The same layers give the same bytes on every proxy.</summary>
internal sealed class ImageAssembler(IImageCatalog catalog, ILayerScanner scanner, IFilesystemImages filesystems, IContentStore contents, ContentSupply supply, IBundleFormat format)
{
    /// <param name="baseFirst">Entries are read one by one: neither they nor their list are in memory.</param>
    /// <param name="config">Says what a container starts.</param>
    /// <exception cref="FailureException">The layers do not fit on each other (<see cref="TreeErrors"/>), or the tree is beyond the format's limits.</exception>
    /// <param name="origin">Where contents come from that have to be looked at for the order and are not here.</param>
    /// <param name="cancellationToken">Stops reading them.</param>
    public async Task<AssembledImage> AssembleAsync(IEnumerable<IndexedLayer> baseFirst, ImageConfig config, ContentOrigin origin, CancellationToken cancellationToken)
    {
        FileTree tree = await MergeAsync(baseFirst, cancellationToken);
        LargeImages.ReleaseGarbage(tree.CountFiles());
        BuiltFilesystem filesystem = filesystems.Build(tree);
        try
        {
            LargeImages.ReleaseGarbage(tree.CountFiles());
            FilesystemImageContents names = filesystems.ReadContents(filesystem.Bytes);
            return new AssembledImage(tree.CountFiles(), filesystem, names, await OrderAsync(tree, names, config, origin, cancellationToken));
        }
        catch
        {
            filesystem.Dispose();
            throw;
        }
    }

    /// <summary>On its own, so that nothing but the tree outlives it.</summary>
    private async Task<FileTree> MergeAsync(IEnumerable<IndexedLayer> baseFirst, CancellationToken cancellationToken)
    {
        TreeMerger merger = new();
        foreach (IndexedLayer layer in baseFirst)
        {
            using LayerIndex index = await catalog.OpenIndexAsync(layer, cancellationToken);
            merger.Apply(scanner.DecodeIndex(index.Entries)).ThrowIfFailure();
        }

        return merger.Build();
    }

    /// <summary>
    /// The order must not depend on what this proxy happens to hold, or two proxies would make different bundles: what was looked for and not found is brought, and the order
    /// made again, which then looks for what that content leads to (a program's libraries, theirs, …).
    /// </summary>
    private async Task<ContentOrder> OrderAsync(FileTree tree, FilesystemImageContents names, ImageConfig config, ContentOrigin origin, CancellationToken cancellationToken)
    {
        HashSet<Digest> brought = [];
        using IDisposable protection = contents.Protect();
        while (true)
        {
            HashSet<Digest> missing = [];
            ContentOrder order = ContentOrder.ForImage(tree, names.Contents, config, (content, offset, length) =>
            {
                ReadOnlyMemory<byte>? bytes = contents.Peek(content, offset, length);
                if (bytes is null)
                {
                    missing.Add(content);
                }

                return bytes;
            });
            missing.ExceptWith(brought);
            if (missing.Count == 0)
            {
                return order;
            }

            ContentRef[] wanted = [.. names.Contents.Where(c => missing.Contains(c.Digest)).OrderBy(c => c.Digest)];
            brought.UnionWith(missing);
            await supply.EnsureAsync(origin, wanted, cancellationToken);
        }
    }

    /// <summary>The image's part of bundle headers. Takes up to seconds for a large image.</summary>
    public ReadOnlyMemory<byte> EncodeUnit(ReadOnlyMemory<byte> manifest, string manifestMediaType, ReadOnlyMemory<byte> config, AssembledImage image) => format.EncodeUnit(new BundleImage
    {
        Manifest = manifest,
        ManifestMediaType = manifestMediaType,
        Config = config,
        FilesystemImage = image.Filesystem.Bytes,
        FilesystemDigest = image.Filesystem.Digest,
    });
}
