using System.Numerics;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// A filesystem image in memory. Every member throws <c>FilesystemImage.Malformed</c> when it comes across something wrong, and ends
/// in time proportional to the image's length whatever is in it: no inode is walked twice, and inodes that overlap are refused. Thread-safe.
/// </summary>
public sealed class FilesystemImage
{
    private readonly ErofsImage _image;
    private readonly Lazy<Digest> _digest;
    private readonly Lazy<IReadOnlyList<ContentRef>> _contents;
    private readonly Lazy<(IReadOnlyList<ContentRef> Contents, IReadOnlyList<ContentName> Names)> _named;

    internal FilesystemImage(ErofsImage image)
    {
        _image = image;
        _digest = new Lazy<Digest>(() => SpooledMemory.Hash(image.Bytes));
        _contents = new Lazy<IReadOnlyList<ContentRef>>(() => ReadContents(names: null));
        _named = new Lazy<(IReadOnlyList<ContentRef>, IReadOnlyList<ContentName>)>(ReadNames);
    }

    public ReadOnlyMemory<byte> Bytes => _image.Bytes;

    /// <summary>sha256 of the image.</summary>
    public Digest Digest => _digest.Value;

    /// <summary>Every distinct non-empty content: depth first, names in byte order, each at its first occurrence.</summary>
    public IReadOnlyList<ContentRef> Contents => _named.IsValueCreated ? _named.Value.Contents : _contents.Value;

    /// <summary>The first name of each content, parallel to <see cref="Contents"/>.</summary>
    public IReadOnlyList<ContentName> Names => _named.Value.Names;

    /// <summary>The whole tree, as it was written.</summary>
    public FileTree ReadTree() => new ErofsTreeReader(_image).Read();

    private (IReadOnlyList<ContentRef> Contents, IReadOnlyList<ContentName> Names) ReadNames()
    {
        List<ContentName> names = new(MaxContents);
        IReadOnlyList<ContentRef> contents = ReadContents(names);
        names.TrimExcess();
        return (contents, names.AsReadOnly());
    }

    /// <summary>An inode with content takes more bytes than this, whatever the image claims.</summary>
    private int MaxContents => (int)Math.Min(_image.InodeCount, (ulong)_image.Bytes.Length / (ErofsFormat.CompactSize + ErofsXattrTable.OverlaySize));

    private IReadOnlyList<ContentRef> ReadContents(List<ContentName>? names)
    {
        DistinctContents contents = new(MaxContents);
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
                    return contents.ToList();
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
                path = names is null ? path : path.Append(name);
                directory = new ErofsNameCursor(_image, inode, directory.Directory.Nid);
            }
            else if (inode is { Kind: FileKind.Regular, Size: > 0 } && contents.Add(_image.ReadContent(inode), inode.Size))
            {
                names?.Add(path.File(name));
            }
        }
    }
}

/// <summary>Contents in the order of their first occurrence: 45 to 51 bytes each.</summary>
internal sealed class DistinctContents
{
    private readonly List<ContentRef> _contents;

    /// <summary>Open addressing with linear probing: position of a content plus one, 0 is free.</summary>
    private readonly int[] _slots;

    private readonly int _expected;

    /// <param name="expected">How many inodes with content an image of this length can have; one with more is malformed.</param>
    public DistinctContents(int expected)
    {
        _expected = expected;
        _contents = new List<ContentRef>(expected);
        _slots = new int[(int)BitOperations.RoundUpToPowerOf2((uint)expected + (uint)(expected / 3) + 4)];
    }

    /// <summary>False if it is there already.</summary>
    public bool Add(Digest digest, long size)
    {
        int mask = _slots.Length - 1;
        for (int slot = digest.GetHashCode() & mask; ; slot = (slot + 1) & mask)
        {
            int position = _slots[slot] - 1;
            if (position < 0)
            {
                if (_contents.Count == _expected)
                {
                    throw ErofsFormat.Malformed($"more than {_expected} files have names");
                }

                _contents.Add(new ContentRef(digest, size));
                _slots[slot] = _contents.Count;
                return true;
            }

            if (_contents[position].Digest == digest)
            {
                return _contents[position].Size == size ? false : throw ErofsFormat.Malformed($"content {digest} has two sizes");
            }
        }
    }

    public IReadOnlyList<ContentRef> ToList()
    {
        _contents.TrimExcess();
        return _contents.AsReadOnly();
    }
}
