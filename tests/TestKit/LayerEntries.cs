using System.Collections.Concurrent;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.TestKit;

/// <summary>Short ways to write layer entries in tests. Paths may end in a slash, as in tar; modes are octal text.</summary>
public static class LayerEntries
{
    private static readonly ConcurrentDictionary<Digest, byte[]> Contents = new([KeyValuePair.Create(Digest.Empty, Array.Empty<byte>())]);

    public static byte[] BytesOf(string text) => System.Text.Encoding.UTF8.GetBytes(text);

    /// <summary>The bytes of a file made by <see cref="File"/>, so that tests can write layers and fill object stores.</summary>
    public static byte[] ContentOf(Digest digest) => Contents[digest];

    public static LayerEntry Dir(string path, string mode = "755", uint uid = 0, uint gid = 0, long mtime = 100, params Xattr[] xattrs) => new()
    {
        Path = PosixPath.FromText(path).Clean(),
        Kind = FileKind.Directory,
        Mode = Octal(mode),
        Uid = uid,
        Gid = gid,
        MtimeSeconds = mtime,
        Xattrs = xattrs,
    };

    public static LayerEntry File(
        string path, string content = "", string mode = "644", uint uid = 0, uint gid = 0, long mtime = 100, uint nanoseconds = 0, params Xattr[] xattrs) => new()
        {
            Path = PosixPath.FromText(path).Clean(),
            Kind = FileKind.Regular,
            Mode = Octal(mode),
            Uid = uid,
            Gid = gid,
            MtimeSeconds = mtime,
            MtimeNanoseconds = nanoseconds,
            Size = BytesOf(content).Length,
            Content = Register(BytesOf(content)),
            Xattrs = xattrs,
        };

    /// <summary>A file with any bytes.</summary>
    public static LayerEntry File(string path, byte[] content) => File(path) with { Size = content.Length, Content = Register(content) };

    public static LayerEntry Symlink(string path, string target, uint uid = 0, uint gid = 0, long mtime = 100, params Xattr[] xattrs) => new()
    {
        Path = PosixPath.FromText(path).Clean(),
        Kind = FileKind.Symlink,
        Mode = Octal("777"),
        Uid = uid,
        Gid = gid,
        MtimeSeconds = mtime,
        LinkTarget = PosixPath.FromText(target),
        Xattrs = xattrs,
    };

    public static LayerEntry HardLink(string path, string target, string mode = "644", uint uid = 0, uint gid = 0, long mtime = 100, params Xattr[] xattrs) => new()
    {
        Path = PosixPath.FromText(path).Clean(),
        Kind = FileKind.HardLink,
        Mode = Octal(mode),
        Uid = uid,
        Gid = gid,
        MtimeSeconds = mtime,
        LinkTarget = PosixPath.FromText(target).Clean(),
        Xattrs = xattrs,
    };

    public static LayerEntry Device(string path, FileKind kind, uint major, uint minor, string mode = "600", long mtime = 100) => new()
    {
        Path = PosixPath.FromText(path).Clean(),
        Kind = kind,
        Mode = Octal(mode),
        MtimeSeconds = mtime,
        DeviceMajor = major,
        DeviceMinor = minor,
    };

    public static Xattr Attribute(string name, string value) => new(PosixPath.FromText(name), BytesOf(value));

    private static Digest Register(byte[] content)
    {
        Digest digest = Digest.Of(content);
        Contents.TryAdd(digest, content);
        return digest;
    }

    public static ushort Octal(string mode) => Convert.ToUInt16(mode, 8);
}
