using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.Trees;

namespace Starlight.Domain.UnitTests.Ordering;

/// <summary>An image made up in a test: a tree with contents that can be peeked at, and a configuration.</summary>
internal sealed class SmallImage
{
    private readonly Dictionary<PosixPath, Inode> _inodes = [];
    private readonly Dictionary<Digest, byte[]> _contents = [];
    private readonly Dictionary<Digest, string> _paths = [];

    public FileTree Tree => new(Directory(PosixPath.Root));

    public SmallImage File(string path, string content, ushort mode = 0x1a4) => File(path, Encoding.UTF8.GetBytes(content), mode);

    public SmallImage Program(string path, byte[] content) => File(path, content, 0x1ed);

    public SmallImage Program(string path, string content) => File(path, content, 0x1ed);

    public SmallImage File(string path, byte[] content, ushort mode)
    {
        Digest digest = Digest.Of(content);
        _contents[digest] = content;
        _paths.TryAdd(digest, path);
        return Add(path, new Inode { Kind = FileKind.Regular, Mode = mode, Size = content.Length, Content = digest });
    }

    public SmallImage Symlink(string path, string target) =>
        Add(path, new Inode { Kind = FileKind.Symlink, Mode = 0x1ff, LinkTarget = PosixPath.FromText(target) });

    /// <summary>Paths of the hot contents in order.</summary>
    public string[] Hot(string[] entrypoint, string[]? command = null, string[]? environment = null, string workingDirectory = "", Func<string, bool>? canPeek = null)
    {
        ContentOrder order = Order(entrypoint, command, environment, workingDirectory, canPeek);
        return [.. Paths(order).Take(order.HotCount)];
    }

    public string[] All(string[] entrypoint) => Paths(Order(entrypoint));

    private string[] Paths(ContentOrder order)
    {
        ContentRef[] contents = ContentsOf(Tree);
        return [.. order.Indexes.Select(index => _paths[contents[index].Digest])];
    }

    private static ContentRef[] ContentsOf(FileTree tree) =>
        [.. tree.Walk().Where(e => e.Inode is { Kind: FileKind.Regular, Size: > 0 }).Select(e => new ContentRef(e.Inode.Content, e.Inode.Size)).DistinctBy(c => c.Digest)];

    public ContentOrder Order(string[] entrypoint, string[]? command = null, string[]? environment = null, string workingDirectory = "", Func<string, bool>? canPeek = null)
    {
        ImageConfig config = new(ReadOnlyMemory<byte>.Empty, new Platform("linux", "amd64"), [], entrypoint, command ?? [], environment ?? [], workingDirectory);
        FileTree tree = Tree;
        return ContentOrder.ForImage(tree, ContentsOf(tree), config, (digest, offset, length) =>
        {
            byte[] content = _contents[digest];
            if (canPeek?.Invoke(_paths[digest]) == false)
            {
                return null;
            }

            int start = (int)Math.Min(offset, content.Length);
            return content.AsMemory(start, Math.Min(length, content.Length - start));
        });
    }

    /// <summary>The directory at <paramref name="path"/>: every path that was added below it makes a name in it.</summary>
    private Inode Directory(PosixPath path)
    {
        IEnumerable<PosixPath> names = _inodes.Keys
            .Where(p => path.IsEmpty || p.Raw.StartsWith(path.Raw + "/", StringComparison.Ordinal))
            .Select(p => PosixPath.FromRaw(p.Raw[(path.IsEmpty ? 0 : path.Length + 1)..].Split('/')[0]))
            .Distinct();
        return new Inode
        {
            Kind = FileKind.Directory,
            Mode = 0x1ed,
            Children = DirectoryEntries.Create(names.Select(n => KeyValuePair.Create(n, _inodes.GetValueOrDefault(path.Append(n)) ?? Directory(path.Append(n))))),
        };
    }

    private SmallImage Add(string path, Inode inode)
    {
        _inodes[PosixPath.FromText(path).Clean()] = inode;
        return this;
    }
}
