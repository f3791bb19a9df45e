using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.TestKit;

/// <summary>
/// A directory of this machine as a tree, through system calls, so that it can be compared with one of ours in every attribute: names that
/// are not UTF-8, nanoseconds, xattrs, device numbers, hard links by inode number.
/// </summary>
public sealed unsafe partial class RealTree
{
    private const int NoFollow = 0x100;
    private const int OpenDirectory = 0x10000 | 0x80000;
    private static readonly PosixPath Redirect = PosixPath.FromRaw("trusted.overlay.redirect");

    private readonly Dictionary<(ulong Device, ulong Number), Inode> _inodes = [];
    private readonly Dictionary<Inode, uint> _links = new(ReferenceEqualityComparer.Instance);
    private readonly bool _isImage;

    private RealTree(string root, bool isImage)
    {
        _isImage = isImage;
        Tree = new FileTree(Read([.. System.Text.Encoding.UTF8.GetBytes(root)]));
    }

    public FileTree Tree { get; }

    /// <summary>st_nlink of every inode.</summary>
    public IReadOnlyDictionary<Inode, uint> Links => _links;

    /// <summary>Reads a tree with all its contents.</summary>
    public static RealTree Read(string root) => new(root, isImage: false);

    /// <summary>Reads a mounted filesystem image: contents are what overlayfs's attributes say, which are then left out.</summary>
    public static RealTree ReadImage(string root) => new(root, isImage: true);

    private Inode Read(byte[] path)
    {
        byte* status = stackalloc byte[256];
        fixed (byte* name = Terminated(path))
        {
            Check(Statx(-100, name, NoFollow, 0xFFF, status), path, "statx");
        }

        ReadOnlySpan<byte> stat = new(status, 256);
        (ulong, ulong) key = (BinaryPrimitives.ReadUInt64LittleEndian(stat[136..]), BinaryPrimitives.ReadUInt64LittleEndian(stat[32..]));
        if (_inodes.TryGetValue(key, out Inode? known))
        {
            return known;
        }

        int mode = BinaryPrimitives.ReadUInt16LittleEndian(stat[28..]);
        FileKind kind = (mode & 0xF000) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Directory,
            0xA000 => FileKind.Symlink,
            0x2000 => FileKind.CharacterDevice,
            0x6000 => FileKind.BlockDevice,
            0x1000 => FileKind.Fifo,
            _ => throw new InvalidOperationException($"mode {Convert.ToString(mode, 8)}"),
        };
        long size = BinaryPrimitives.ReadInt64LittleEndian(stat[40..]);
        List<Xattr> xattrs = Xattrs(path);
        bool isDevice = kind is FileKind.CharacterDevice or FileKind.BlockDevice;
        Inode inode = new()
        {
            Kind = kind,
            Mode = (ushort)(mode & 0xFFF),
            Uid = BinaryPrimitives.ReadUInt32LittleEndian(stat[20..]),
            Gid = BinaryPrimitives.ReadUInt32LittleEndian(stat[24..]),
            MtimeSeconds = BinaryPrimitives.ReadInt64LittleEndian(stat[112..]),
            MtimeNanoseconds = BinaryPrimitives.ReadUInt32LittleEndian(stat[120..]),
            Size = kind == FileKind.Regular ? size : 0,
            Content = kind == FileKind.Regular ? Content(path, size, xattrs) : default,
            LinkTarget = kind == FileKind.Symlink ? PosixPath.FromBytes(LinkTarget(path)) : default,
            DeviceMajor = isDevice ? BinaryPrimitives.ReadUInt32LittleEndian(stat[128..]) : 0,
            DeviceMinor = isDevice ? BinaryPrimitives.ReadUInt32LittleEndian(stat[132..]) : 0,
            Xattrs = [.. xattrs.Where(xattr => !_isImage || !xattr.Name.Raw.StartsWith("trusted.overlay.", StringComparison.Ordinal)).OrderBy(xattr => xattr.Name)],
            Children = kind == FileKind.Directory
                ? DirectoryEntries.Create(Names(path).Select(name => KeyValuePair.Create(PosixPath.FromBytes(name), Read([.. path, (byte)'/', .. name]))))
                : null,
        };
        _links.Add(inode, BinaryPrimitives.ReadUInt32LittleEndian(stat[16..]));
        if (kind != FileKind.Directory)
        {
            _inodes.Add(key, inode);
        }

        return inode;
    }

    private Digest Content(byte[] path, long size, List<Xattr> xattrs)
    {
        if (_isImage)
        {
            return size == 0 ? Digest.Empty : DigestOf(xattrs.Single(xattr => xattr.Name == Redirect));
        }

        int descriptor;
        fixed (byte* name = Terminated(path))
        {
            descriptor = Open(name, 0x80000, 0);
        }

        Check(descriptor, path, "open");
        using FileStream stream = new(new SafeFileHandle(descriptor, ownsHandle: true), FileAccess.Read);
        return new Digest(SHA256.HashData(stream));
    }

    private static Digest DigestOf(Xattr redirect)
    {
        string path = PosixPath.FromBytes(redirect.Value.Span).Raw;
        return Digest.Parse("sha256:" + path.Replace("/", "", StringComparison.Ordinal)) is { IsSuccess: true } digest && path == "/" + digest.Value.ObjectPath
            ? digest.Value
            : throw new InvalidOperationException($"redirect {path}");
    }

    private static byte[] LinkTarget(byte[] path)
    {
        byte[] target = new byte[4096];
        fixed (byte* name = Terminated(path))
        fixed (byte* buffer = target)
        {
            return target[..(int)Check(Readlink(name, buffer, (nuint)target.Length), path, "readlink")];
        }
    }

    private static List<Xattr> Xattrs(byte[] path)
    {
        byte[] names = new byte[65536];
        byte[] value = new byte[65536];
        List<Xattr> xattrs = [];
        fixed (byte* name = Terminated(path))
        fixed (byte* buffer = names)
        fixed (byte* valueBuffer = value)
        {
            int length = (int)Check(ListXattr(name, buffer, (nuint)names.Length), path, "listxattr");
            for (int start = 0; start < length;)
            {
                int end = Array.IndexOf(names, (byte)0, start);
                int valueLength = (int)Check(GetXattr(name, buffer + start, valueBuffer, (nuint)value.Length), path, "getxattr");
                xattrs.Add(new Xattr(PosixPath.FromBytes(names.AsSpan(start, end - start)), value[..valueLength]));
                start = end + 1;
            }
        }

        return xattrs;
    }

    private static List<byte[]> Names(byte[] path)
    {
        int descriptor;
        fixed (byte* name = Terminated(path))
        {
            descriptor = Open(name, OpenDirectory, 0);
        }

        Check(descriptor, path, "open");
        using SafeFileHandle handle = new(descriptor, ownsHandle: true);
        List<byte[]> names = [];
        byte[] buffer = new byte[65536];
        fixed (byte* entries = buffer)
        {
            while (true)
            {
                int length = (int)Check(GetDents(descriptor, entries, (nuint)buffer.Length), path, "getdents64");
                if (length == 0)
                {
                    return names;
                }

                for (int start = 0; start < length; start += BinaryPrimitives.ReadUInt16LittleEndian(buffer.AsSpan(start + 16)))
                {
                    byte[] name = buffer[(start + 19)..Array.IndexOf(buffer, (byte)0, start + 19)];
                    if (!name.AsSpan().SequenceEqual("."u8) && !name.AsSpan().SequenceEqual(".."u8))
                    {
                        names.Add(name);
                    }
                }
            }
        }
    }

    private static byte[] Terminated(byte[] path) => [.. path, 0];

    private static nint Check(nint result, byte[] path, string call) => result >= 0
        ? result
        : throw new IOException($"{call} {PosixPath.FromBytes(path).Display}: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int Statx(int directory, byte* path, int flags, uint mask, byte* status);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true)]
    private static partial int Open(byte* path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "getdents64", SetLastError = true)]
    private static partial nint GetDents(int descriptor, byte* entries, nuint size);

    [LibraryImport("libc", EntryPoint = "readlink", SetLastError = true)]
    private static partial nint Readlink(byte* path, byte* target, nuint size);

    [LibraryImport("libc", EntryPoint = "llistxattr", SetLastError = true)]
    private static partial nint ListXattr(byte* path, byte* names, nuint size);

    [LibraryImport("libc", EntryPoint = "lgetxattr", SetLastError = true)]
    private static partial nint GetXattr(byte* path, byte* name, byte* value, nuint size);
}
