using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.TestKit;

/// <summary>Layers as odd as they can be, in which everything has to do with everything: a handful of paths, of all kinds, again and again. A seed gives the same layer on every machine.</summary>
public static class RandomLayers
{
    public static LayerEntry[] Create(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => Entry(random))];

    /// <summary>All that a container sees of merged layers, links included; one word for layers that cannot be unpacked.</summary>
    public static string Describe(Result<FileTree> merged)
    {
        if (!merged.IsSuccess)
        {
            return "refused";
        }

        Dictionary<Inode, PosixPath> first = new(ReferenceEqualityComparer.Instance);
        return string.Join('\n', merged.Value.Walk().Select(e =>
        {
            first.TryAdd(e.Inode, e.Path);
            Inode i = e.Inode;
            return $"{e.Path} {i.Kind} {i.Mode} {i.Uid}:{i.Gid} {i.MtimeSeconds} {i.Size} {i.Content} {i.LinkTarget} {string.Join(',', i.Xattrs.Select(x => $"{x.Name}={Convert.ToHexString(x.Value.Span)}"))} as {first[i]}";
        }));
    }

    private static LayerEntry Entry(Random random)
    {
        string path = Path(random);
        string parent = path.Contains('/', StringComparison.Ordinal) ? path[..(path.LastIndexOf('/') + 1)] : "";
        long time = random.Next(1, 1000);
        string mode = random.Next(2) == 0 ? "755" : "700";
        return random.Next(20) switch
        {
            < 6 => Dir(path, mode, mtime: time, xattrs: random.Next(3) == 0 ? [Attribute($"user.{random.Next(3)}", $"{random.Next(3)}")] : []),
            < 13 => File(path, $"{random.Next(100)}", mode, mtime: time),
            < 16 => HardLink(path, Path(random), mode, mtime: time),
            16 => Symlink(path, Path(random), mtime: time),
            17 => Device(path, FileKind.CharacterDevice, 0, 0),
            18 => File(parent + ".wh." + path[parent.Length..]),
            _ => File(parent + ".wh..wh..opq"),
        };
    }

    private static string Path(Random random) => string.Join('/', Enumerable.Range(0, random.Next(1, 4)).Select(_ => $"{(char)('a' + random.Next(3))}"));
}
