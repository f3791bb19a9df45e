using System.Buffers;
using System.Buffers.Binary;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>Checked access to the inodes of an image. Immutable.</summary>
internal sealed class ErofsImage(ReadOnlyMemory<byte> bytes)
{
    public ReadOnlyMemory<byte> Bytes => bytes;

    public required uint RootNid { get; init; }

    public required ulong InodeCount { get; init; }

    public required long EpochSeconds { get; init; }

    public required uint EpochNanoseconds { get; init; }

    /// <summary>Byte offset of the block that shared xattrs are counted from.</summary>
    public required long SharedStart { get; init; }

    public ErofsInode ReadInode(ulong nid)
    {
        ReadOnlySpan<byte> span = bytes.Span;
        if (nid < ErofsFormat.FirstNid || nid >= (ulong)span.Length >> ErofsFormat.SlotBits)
        {
            throw ErofsFormat.Malformed($"there is no inode {nid}");
        }

        int position = (int)nid << ErofsFormat.SlotBits;
        ReadOnlySpan<byte> raw = span[position..];
        int format = BinaryPrimitives.ReadUInt16LittleEndian(raw);
        bool isExtended = (format & 1) != 0;
        int headerSize = isExtended ? ErofsFormat.ExtendedSize : ErofsFormat.CompactSize;
        int xattrCount = BinaryPrimitives.ReadUInt16LittleEndian(raw[2..]);
        int xattrSize = xattrCount == 0 ? 0 : ErofsFormat.XattrHeaderSize + ((xattrCount - 1) * 4);
        if (format > 0xF || headerSize + xattrSize > raw.Length)
        {
            throw ErofsFormat.Malformed($"inode {nid} does not fit");
        }

        int mode = BinaryPrimitives.ReadUInt16LittleEndian(raw[4..]);
        FileKind kind = ErofsFormat.KindOf(mode) ?? throw ErofsFormat.Malformed($"inode {nid} has mode {Convert.ToString(mode, 8)}");
        ErofsInode inode = new()
        {
            Nid = (uint)nid,
            Kind = kind,
            Mode = (ushort)(mode & 0xFFF),
            Layout = format >> 1,
            XattrPosition = position + headerSize,
            XattrSize = xattrSize,
            Union = BinaryPrimitives.ReadUInt32LittleEndian(raw[16..]),
            Links = isExtended ? BinaryPrimitives.ReadUInt32LittleEndian(raw[44..]) : BinaryPrimitives.ReadUInt16LittleEndian(raw[6..]),
            Size = isExtended ? BinaryPrimitives.ReadInt64LittleEndian(raw[8..]) : BinaryPrimitives.ReadUInt32LittleEndian(raw[8..]),
            Uid = isExtended ? BinaryPrimitives.ReadUInt32LittleEndian(raw[24..]) : BinaryPrimitives.ReadUInt16LittleEndian(raw[24..]),
            Gid = isExtended ? BinaryPrimitives.ReadUInt32LittleEndian(raw[28..]) : BinaryPrimitives.ReadUInt16LittleEndian(raw[26..]),
            MtimeSeconds = isExtended ? BinaryPrimitives.ReadInt64LittleEndian(raw[32..]) : EpochSeconds,
            MtimeNanoseconds = isExtended ? BinaryPrimitives.ReadUInt32LittleEndian(raw[40..]) : EpochNanoseconds,
        };
        CheckData(inode, span);
        return inode;
    }

    /// <summary>One block of a directory's or symlink's data, without what lies behind the end of the data.</summary>
    public ReadOnlySpan<byte> Block(scoped in ErofsInode inode, int index)
    {
        int length = (int)Math.Min(ErofsFormat.BlockSize, inode.Size - ((long)index << ErofsFormat.BlockBits));
        bool isTail = inode.Layout == ErofsFormat.LayoutInline && index == (inode.Size - 1) >> ErofsFormat.BlockBits;
        long position = isTail ? inode.XattrPosition + inode.XattrSize : ((long)inode.Union + index) << ErofsFormat.BlockBits;
        return bytes.Span.Slice((int)position, length);
    }

    public PosixPath ReadSymlink(in ErofsInode inode)
    {
        ReadOnlySpan<byte> target = Block(inode, 0);
        return target.Contains((byte)0) ? throw ErofsFormat.Malformed($"symlink {inode.Nid} has a zero in its target") : PosixPath.FromBytes(target);
    }

    /// <summary>The content of a non-empty regular file: the first two inline xattrs, at a fixed place behind the shared references.</summary>
    public Digest ReadContent(in ErofsInode inode) => ContentIn(bytes.Span.Slice(inode.XattrPosition, inode.XattrSize), inode.Nid);

    /// <inheritdoc cref="ReadContent"/>
    /// <param name="body">The inode's extended attributes; those behind the content's may be missing.</param>
    /// <param name="nid">For the message.</param>
    public static Digest ContentIn(ReadOnlySpan<byte> body, ulong nid)
    {
        int start = body.IsEmpty ? 0 : ErofsFormat.XattrHeaderSize + (4 * body[4]);
        if (start + ErofsXattrTable.OverlaySize > body.Length || !body[start..].StartsWith(ErofsXattrTable.OverlayPrefix))
        {
            throw ErofsFormat.Malformed($"file {nid} does not say where its content is");
        }

        ReadOnlySpan<byte> redirect = body.Slice(start + ErofsXattrTable.OverlayPrefix.Length, 68);
        Span<byte> hex = stackalloc byte[Digest.HexLength];
        redirect.Slice(1, 2).CopyTo(hex);
        redirect.Slice(4, 62).CopyTo(hex[2..]);
        Span<byte> digest = stackalloc byte[Digest.Size];
        bool isCanonical = redirect[0] == '/' && redirect[3] == '/' && redirect[66] == 0 && redirect[67] == 0
            && !hex.ContainsAnyInRange((byte)'A', (byte)'F')
            && Convert.FromHexString(hex, digest, out _, out int written) == OperationStatus.Done && written == Digest.Size;
        return isCanonical ? new Digest(digest) : throw ErofsFormat.Malformed($"file {nid} has a redirect that names no content");
    }

    private static void CheckData(in ErofsInode inode, ReadOnlySpan<byte> image)
    {
        long inline = inode.XattrPosition + inode.XattrSize;
        bool isValid = inode.MtimeNanoseconds <= 999_999_999 && inode.Links > 0 && inode.Size >= 0;
        switch (inode.Kind)
        {
            case FileKind.Regular when inode.Size > 0:
                isValid &= inode.Layout == ErofsFormat.LayoutChunked && inode.Union == ErofsFormat.ChunkFormat && inode.Size <= ErofsFormat.MaxFileSize
                    && inline + ErofsFormat.ChunkArraySize <= image.Length
                    && BinaryPrimitives.ReadUInt32LittleEndian(image[(int)inline..]) == ErofsFormat.NullAddress;
                break;
            case FileKind.Directory or FileKind.Symlink:
                long wholeBlocks = (inode.Size + (inode.Layout == ErofsFormat.LayoutPlain ? ErofsFormat.BlockSize : 0) - 1) >> ErofsFormat.BlockBits;
                long tail = inode.Size - (wholeBlocks << ErofsFormat.BlockBits);
                isValid &= inode.Layout is ErofsFormat.LayoutPlain or ErofsFormat.LayoutInline && inode.Size > 0
                    && (inode.Kind == FileKind.Directory || inode.Size <= ErofsFormat.MaxSymlinkLength)
                    && wholeBlocks <= image.Length >> ErofsFormat.BlockBits
                    && (inode.Union + wholeBlocks) << ErofsFormat.BlockBits <= image.Length
                    && (inode.Layout == ErofsFormat.LayoutPlain
                        || (inline + tail <= image.Length && inline >> ErofsFormat.BlockBits == (inline + tail - 1) >> ErofsFormat.BlockBits));
                break;
            default:
                isValid &= inode.Layout == ErofsFormat.LayoutPlain && inode.Size == 0;
                break;
        }

        if (!isValid)
        {
            throw ErofsFormat.Malformed($"inode {inode.Nid} has data that cannot be");
        }
    }
}

/// <summary>An inode's numbers. What they say of places in the image is checked.</summary>
internal readonly struct ErofsInode
{
    public required uint Nid { get; init; }

    public required FileKind Kind { get; init; }

    public required ushort Mode { get; init; }

    public required int Layout { get; init; }

    public required int XattrPosition { get; init; }

    public required int XattrSize { get; init; }

    /// <summary>First block, device number or chunk format.</summary>
    public required uint Union { get; init; }

    public required uint Links { get; init; }

    public required long Size { get; init; }

    public required uint Uid { get; init; }

    public required uint Gid { get; init; }

    public required long MtimeSeconds { get; init; }

    public required uint MtimeNanoseconds { get; init; }

    /// <summary>The bytes of the image that belong to this inode alone.</summary>
    public long Extent => ErofsFormat.CompactSize + XattrSize + (Kind is FileKind.Directory or FileKind.Symlink ? Size : 0);
}
