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
/// <param name="Tree">What a container sees.</param>
/// <param name="Filesystem">The filesystem image of <paramref name="Tree"/>.</param>
/// <param name="Names">Digest and content list of <paramref name="Filesystem"/>.</param>
/// <param name="Order">In which order its contents are best sent.</param>
internal sealed record AssembledImage(FileTree Tree, ReadOnlyMemory<byte> Filesystem, FilesystemImageContents Names, ContentOrder Order);

/// <summary>Puts indexed layers together: all of an image's, or the first few of them. The same layers give the same bytes on every proxy.</summary>
internal sealed class ImageAssembler(ILayerScanner scanner, IFilesystemImages filesystems, IContentStore contents, ContentSupply supply, IBundleFormat format)
{
    /// <param name="baseFirst">One layer's entries at a time are in memory: the merger does not keep them.</param>
    /// <param name="config">Says what a container starts.</param>
    /// <exception cref="FailureException">The layers do not fit on each other (<see cref="TreeErrors"/>), or the tree is beyond the format's limits.</exception>
    /// <param name="origin">Where contents come from that have to be looked at for the order and are not here.</param>
    /// <param name="cancellationToken">Stops reading them.</param>
    public async Task<AssembledImage> AssembleAsync(IEnumerable<IndexedLayer> baseFirst, ImageConfig config, ContentOrigin origin, CancellationToken cancellationToken)
    {
        TreeMerger merger = new();
        foreach (IndexedLayer layer in baseFirst)
        {
            merger.Apply(scanner.DecodeIndex(layer.Index)).ThrowIfFailure();
        }

        FileTree tree = merger.Build();
        ReadOnlyMemory<byte> filesystem = filesystems.Build(tree);
        FilesystemImageContents names = filesystems.ReadContents(filesystem);
        return new AssembledImage(tree, filesystem, names, await OrderAsync(tree, names, config, origin, cancellationToken));
    }

    /// <summary>
    /// The order must not depend on what this proxy happens to hold, or two proxies would make different bundles: what was looked for and not found is brought, and the order
    /// made again, which then looks for what that content leads to (a program's libraries, theirs, …).
    /// </summary>
    private async Task<ContentOrder> OrderAsync(FileTree tree, FilesystemImageContents names, ImageConfig config, ContentOrigin origin, CancellationToken cancellationToken)
    {
        Dictionary<Digest, long>? sizes = null;
        HashSet<Digest> brought = [];
        using IDisposable protection = contents.Protect();
        while (true)
        {
            HashSet<Digest> missing = [];
            ContentOrder order = ContentOrder.ForImage(tree, config, (content, offset, length) =>
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

            sizes ??= names.Contents.ToDictionary(c => c.Digest, c => c.Size);
            ContentRef[] wanted = [.. missing.Order().Select(d => new ContentRef(d, sizes[d]))];
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
        FilesystemImage = image.Filesystem,
        FilesystemDigest = image.Names.Digest,
    });
}
