using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// A filesystem image in memory. Every member throws <c>FilesystemImage.Malformed</c> when it comes across something wrong, and ends
/// in time proportional to the image's length whatever is in it: no inode is walked twice, and inodes that overlap are refused. Thread-safe.
/// </summary>
public sealed class FilesystemImage
{
    private readonly ErofsImage _image;
    private readonly Lazy<Digest> _digest;
    private readonly Lazy<(IReadOnlyList<ContentRef> Contents, IReadOnlyList<ContentName> Names)> _contents;

    internal FilesystemImage(ErofsImage image)
    {
        _image = image;
        _digest = new Lazy<Digest>(() => Digest.Of(image.Bytes.Span));
        _contents = new Lazy<(IReadOnlyList<ContentRef>, IReadOnlyList<ContentName>)>(ReadContents);
    }

    public ReadOnlyMemory<byte> Bytes => _image.Bytes;

    /// <summary>sha256 of the image.</summary>
    public Digest Digest => _digest.Value;

    /// <summary>Every distinct non-empty content: depth first, names in byte order, each at its first occurrence.</summary>
    public IReadOnlyList<ContentRef> Contents => _contents.Value.Contents;

    /// <summary>The first name of each content, parallel to <see cref="Contents"/>.</summary>
    public IReadOnlyList<ContentName> Names => _contents.Value.Names;

    /// <summary>The whole tree, as it was written.</summary>
    public FileTree ReadTree() => new ErofsTreeReader(_image).Read();

    private (IReadOnlyList<ContentRef> Contents, IReadOnlyList<ContentName> Names) ReadContents()
    {
        // An inode with content takes more bytes than this, whatever the image claims.
        int expected = (int)Math.Min(_image.InodeCount, (ulong)_image.Bytes.Length / (ErofsFormat.CompactSize + ErofsXattrTable.OverlaySize));
        List<ContentRef> contents = new(expected);
        List<ContentName> names = new(expected);
        Dictionary<Digest, long> sizes = new(expected);
        ErofsVisits visits = new(_image);
        Stack<(ErofsNameCursor Directory, PathHash Path)> parents = new();
        ErofsInode root = visits.ReadRoot();
        ErofsNameCursor directory = new(_image, root, root.Nid);
        PathHash path = PathHash.Root;
        while (true)
        {
            if (!directory.TryNext(out ReadOnlySpan<byte> name, out ulong nid, out byte type))
            {
                if (!parents.TryPop(out (ErofsNameCursor Directory, PathHash Path) parent))
                {
                    visits.CheckComplete();
                    contents.TrimExcess();
                    names.TrimExcess();
                    return (contents.AsReadOnly(), names.AsReadOnly());
                }

                (directory, path) = parent;
                continue;
            }

            if (!visits.TryEnter(nid, type, out ErofsInode inode))
            {
                continue;
            }

            if (inode.Kind == FileKind.Directory)
            {
                ErofsVisits.CheckDepth(parents.Count + 1);
                parents.Push((directory, path));
                path = path.Append(name);
                directory = new ErofsNameCursor(_image, inode, directory.Directory.Nid);
            }
            else if (inode is { Kind: FileKind.Regular, Size: > 0 })
            {
                Digest content = _image.ReadContent(inode);
                ref long size = ref CollectionsMarshal.GetValueRefOrAddDefault(sizes, content, out bool exists);
                if (!exists)
                {
                    size = inode.Size;
                    contents.Add(new ContentRef(content, inode.Size));
                    names.Add(path.File(name));
                }
                else if (size != inode.Size)
                {
                    throw ErofsFormat.Malformed($"content {content} has two sizes");
                }
            }
        }
    }
}
