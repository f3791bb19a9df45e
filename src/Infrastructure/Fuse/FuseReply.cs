using System.Runtime.InteropServices;
using Starlight.Infrastructure.Fuse.Native;

namespace Starlight.Infrastructure.Fuse;

/// <summary>
/// Writes replies; each method gives the reply's length. linux/fuse.h, fuse_out_header:
/// <code>
///  0  u32 len      whole reply
///  4  i32 error    0 or a negative errno; an error has no body
///  8  u64 unique   of the request
/// 16  body
/// </code>
/// </summary>
internal static class FuseReply
{
    /// <summary>How long the kernel may keep directory entries and attributes of the gate, seconds. They never change; what may is invalidated.</summary>
    private const ulong CacheSeconds = 1UL << 30;

    public static int Error(Span<byte> reply, ulong unique, int errno) => Header(reply, unique, -errno, bodyLength: 0);

    public static int Empty(Span<byte> reply, ulong unique) => Header(reply, unique, error: 0, bodyLength: 0);

    /// <summary>
    /// A directory entry: <c>nodeid u64, generation u64, entry_valid u64, attr_valid u64, entry_valid_nsec u32, attr_valid_nsec u32, attr</c>.
    /// </summary>
    public static int DirectoryEntry(Span<byte> reply, ulong unique, ulong nodeId, bool mayCacheName)
    {
        WriteDirectoryEntry(Body(reply, FuseAbi.EntryOutSize), nodeId, mayCacheName);
        return Header(reply, unique, error: 0, FuseAbi.EntryOutSize);
    }

    /// <summary>Room for how many entries of <see cref="ListedDirectory"/> there is in the reply, if the kernel takes <paramref name="size"/> bytes.</summary>
    public static int ListingCapacity(Span<byte> reply, uint size) => (int)Math.Min(size, (uint)(reply.Length - FuseAbi.OutHeaderSize)) / (FuseAbi.EntryOutSize + FuseAbi.DirentSize);

    /// <summary>
    /// One entry of a FUSE_READDIRPLUS reply: entry_out as for a lookup, then <c>ino u64, off u64, namelen u32, type u32, name</c> padded to eight bytes.
    /// </summary>
    /// <param name="reply">The whole reply.</param>
    /// <param name="index">Which entry of the reply.</param>
    /// <param name="nodeId">Of the directory.</param>
    /// <param name="next">Where a later request goes on.</param>
    /// <param name="name">At most eight bytes.</param>
    public static void ListedDirectory(Span<byte> reply, int index, ulong nodeId, ulong next, ReadOnlySpan<byte> name)
    {
        Span<byte> entry = reply.Slice(FuseAbi.OutHeaderSize + (index * (FuseAbi.EntryOutSize + FuseAbi.DirentSize)), FuseAbi.EntryOutSize + FuseAbi.DirentSize);
        entry.Clear();
        WriteDirectoryEntry(entry, nodeId, mayCacheName: true);
        Span<byte> dirent = entry[FuseAbi.EntryOutSize..];
        Write(dirent, 0, nodeId);
        Write(dirent, 8, next);
        Write(dirent, 16, (uint)name.Length);
        Write(dirent, 20, FuseAbi.DirentDirectory);
        name.CopyTo(dirent[24..]);
    }

    /// <summary>So many entries of <see cref="ListedDirectory"/>; none at the end.</summary>
    public static int Listing(Span<byte> reply, ulong unique, int count) => Header(reply, unique, error: 0, count * (FuseAbi.EntryOutSize + FuseAbi.DirentSize));

    /// <summary><c>attr_valid u64, attr_valid_nsec u32, dummy u32, attr</c>.</summary>
    public static int DirectoryAttributes(Span<byte> reply, ulong unique, ulong nodeId)
    {
        Span<byte> body = Body(reply, FuseAbi.AttrOutSize);
        Write(body, 0, CacheSeconds);
        WriteDirectoryAttributes(body[16..], nodeId);
        return Header(reply, unique, error: 0, FuseAbi.AttrOutSize);
    }

    /// <summary><c>fh u64, open_flags u32, padding u32</c>: no handle, nothing special.</summary>
    public static int Opened(Span<byte> reply, ulong unique)
    {
        Body(reply, FuseAbi.OpenOutSize);
        return Header(reply, unique, error: 0, FuseAbi.OpenOutSize);
    }

    /// <summary>
    /// <c>blocks, bfree, bavail, files, ffree u64; bsize, namelen, frsize, padding u32; spare u32[6]</c>: an empty file system.
    /// Overlayfs asks for namelen when it is mounted.
    /// </summary>
    public static int FileSystemStatus(Span<byte> reply, ulong unique)
    {
        Span<byte> body = Body(reply, FuseAbi.StatfsOutSize);
        Write(body, 40, 4096u);
        Write(body, 44, 255u);
        Write(body, 48, 4096u);
        return Header(reply, unique, error: 0, FuseAbi.StatfsOutSize);
    }

    /// <summary>
    /// <c>major, minor, max_readahead, flags u32; max_background, congestion_threshold u16; max_write, time_gran u32; max_pages, map_alignment u16;
    /// flags2, max_stack_depth u32; …</c>. Zero stands for the kernel's default; max_write keeps requests within the read buffer.
    /// </summary>
    public static int Initialised(Span<byte> reply, ulong unique, uint minor, uint flags, uint flags2)
    {
        Span<byte> body = Body(reply, FuseAbi.InitOutSize);
        Write(body, 0, FuseAbi.KernelVersion);
        Write(body, 4, minor);
        Write(body, 12, flags);
        Write(body, 20, 4096u);
        Write(body, 24, 1u);
        Write(body, 32, flags2);
        return Header(reply, unique, error: 0, FuseAbi.InitOutSize);
    }

    /// <summary>Only the version: asks a kernel with a newer major to speak ours. It then sends FUSE_INIT again.</summary>
    public static int OnlyMajor(Span<byte> reply, ulong unique)
    {
        Span<byte> body = Body(reply, FuseAbi.InitOutSize);
        Write(body, 0, FuseAbi.KernelVersion);
        Write(body, 4, FuseAbi.MinorVersion);
        return Header(reply, unique, error: 0, FuseAbi.InitOutSize);
    }

    /// <summary>
    /// A notification (unique 0, the code in the error field) that the kernel shall forget <paramref name="name"/> in <paramref name="parent"/>:
    /// <c>parent u64, namelen u32, flags u32, name, NUL</c>.
    /// </summary>
    public static int InvalidateEntry(Span<byte> message, ulong parent, ReadOnlySpan<byte> name)
    {
        int bodyLength = 16 + name.Length + 1;
        Span<byte> body = Body(message, bodyLength);
        Write(body, 0, parent);
        Write(body, 8, (uint)name.Length);
        name.CopyTo(body[16..]);
        return Header(message, unique: 0, FuseAbi.FUSE_NOTIFY_INVAL_ENTRY, bodyLength);
    }

    private static Span<byte> Body(Span<byte> reply, int length)
    {
        Span<byte> body = reply.Slice(FuseAbi.OutHeaderSize, length);
        body.Clear();
        return body;
    }

    private static int Header(Span<byte> reply, ulong unique, int error, int bodyLength)
    {
        int length = FuseAbi.OutHeaderSize + bodyLength;
        Write(reply, 0, (uint)length);
        Write(reply, 4, error);
        Write(reply, 8, unique);
        return length;
    }

    private static void WriteDirectoryEntry(Span<byte> body, ulong nodeId, bool mayCacheName)
    {
        Write(body, 0, nodeId);
        Write(body, 16, mayCacheName ? CacheSeconds : 0);
        Write(body, 24, CacheSeconds);
        WriteDirectoryAttributes(body[40..], nodeId);
    }

    /// <summary><c>ino, size, blocks, atime, mtime, ctime u64; 3 × nsec, mode, nlink, uid, gid, rdev, blksize, flags u32</c>.</summary>
    private static void WriteDirectoryAttributes(Span<byte> attributes, ulong nodeId)
    {
        Write(attributes, 0, nodeId);
        Write(attributes, 60, FuseAbi.DirectoryMode);
        Write(attributes, 64, 2u);
        Write(attributes, 80, 4096u);
    }

    private static void Write<T>(Span<byte> body, int offset, T value)
        where T : struct => MemoryMarshal.Write(body[offset..], in value);
}
