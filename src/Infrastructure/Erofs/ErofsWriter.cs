using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// Writes a merged tree as a filesystem image: an EROFS file system without file contents (docs/formats/filesystem-image.md). A regular file is a hole
/// of the right size with the two attributes that lead overlayfs to its content in an object store. The bytes depend on the tree alone.
/// <list type="number">
/// <item>collect: every inode once, hard links found, in image order: the children of a directory together, then below each in turn;</item>
/// <item>lay out: size and place of every inode, then the shared xattrs, then whole blocks of data (<see cref="ErofsNodes"/>, both);</item>
/// <item>write: fill one buffer, then uuid and checksum.</item>
/// </list>
/// </summary>
/// <remarks>Trees that cannot be stored fail with <c>FilesystemImage.TreeUnsupported</c>. Thread-safe.</remarks>
public sealed class ErofsWriter
{
    /// <summary>Inodes written before the memory they lie in is let go of: some 13 MB.</summary>
    private const int RelaxEvery = 1 << 16;

    private readonly ErofsNodes _nodes;

    private ErofsWriter(FileTree tree) => _nodes = new ErofsNodes(tree.Root);

    public static byte[] Build(FileTree tree)
    {
        ErofsWriter writer = new(tree);
        byte[] image = new byte[writer._nodes.Extents.End];
        writer.WriteImage(image);
        return image;
    }

    /// <summary>The same, in memory that is not resident if the image is large.</summary>
    /// <param name="tree">What a container sees.</param>
    /// <param name="directory">For a large image; null for <see cref="SpooledMemory.DefaultDirectory"/>.</param>
    /// <exception cref="FailureException">As of <see cref="SpooledMemory.Rent"/>.</exception>
    internal static IMemoryOwner<byte> Rent(FileTree tree, string? directory)
    {
        ErofsWriter writer = new(tree);
        IMemoryOwner<byte> image = SpooledMemory.Rent((int)writer._nodes.Extents.End, directory);
        try
        {
            writer.WriteImage(image.Memory);
            return image;
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    public static void Write(FileTree tree, Stream output) => output.Write(Build(tree));

    private void WriteImage(Memory<byte> memory)
    {
        ErofsExtents extents = _nodes.Extents;
        Span<byte> image = memory.Span;
        List<DirentTarget> targets = [];
        Span<ErofsNode> nodes = _nodes.Nodes;
        for (int i = 0; i < nodes.Length; i++)
        {
            ref ErofsNode node = ref nodes[i];
            if (i % RelaxEvery == RelaxEvery - 1)
            {
                SpooledMemory.Relax(memory);
            }

            Span<byte> inode = image[(int)(node.Nid << ErofsFormat.SlotBits)..];
            WriteInode(ref node, i, inode, extents);
            if (node.XattrSize > 0)
            {
                _nodes.Xattrs.Write(node.Inode, node.Layout == ErofsFormat.LayoutChunked, inode.Slice(node.HeaderSize, node.XattrSize));
            }

            int tailOffset = node.HeaderSize + node.XattrSize;
            if (node.Layout == ErofsFormat.LayoutChunked)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(inode[tailOffset..], ErofsFormat.NullAddress);
            }
            else if (node.Inode.Kind == FileKind.Symlink)
            {
                Span<byte> target = node.Layout == ErofsFormat.LayoutInline ? inode[tailOffset..] : image[(int)extents.BlockOffset(node.FirstBlock)..];
                Encoding.Latin1.GetBytes(node.Inode.LinkTarget.Raw, target);
            }
            else if (node.Inode.Kind == FileKind.Directory)
            {
                DirectoryEntries children = node.Inode.Children ?? DirectoryEntries.Empty;
                CollectionsMarshal.SetCount(targets, children.Count);
                for (int name = 0; name < children.Count; name++)
                {
                    ref ErofsNode child = ref nodes[_nodes.Targets[node.FirstName + name]];
                    targets[name] = new DirentTarget(child.Nid, child.Inode.Kind);
                }

                WriteDirectory(ref node, nodes[node.Parent].Nid, children, CollectionsMarshal.AsSpan(targets), image, extents);
            }
        }

        _nodes.Xattrs.WriteShared(image.Slice((int)extents.Shared, _nodes.Xattrs.SharedAreaSize));
        WriteSuper(memory, extents);
    }

    private static void WriteDirectory(ref ErofsNode node, uint parent, DirectoryEntries children, ReadOnlySpan<DirentTarget> targets, Span<byte> image, ErofsExtents extents)
    {
        ErofsDirectory directory = new(children);
        long wholeBlocks = node.Layout == ErofsFormat.LayoutInline ? (node.Size - 1) >> ErofsFormat.BlockBits : long.MaxValue;
        long position = extents.BlockOffset(node.FirstBlock);
        int next = 0;
        for (long written = 0; next < children.Count + 2; written++, position += ErofsFormat.BlockSize)
        {
            if (written == wholeBlocks)
            {
                position = (node.Nid << ErofsFormat.SlotBits) + node.HeaderSize + node.XattrSize;
            }

            next = directory.WriteBlock(next, image[(int)position..], targets, node.Nid, parent);
        }
    }

    private static void WriteInode(ref ErofsNode node, int index, Span<byte> destination, ErofsExtents extents)
    {
        Inode inode = node.Inode;
        uint union = inode.Kind switch
        {
            FileKind.Regular when node.Layout == ErofsFormat.LayoutChunked => ErofsFormat.ChunkFormat,
            FileKind.Directory or FileKind.Symlink when node.HasBlocks => (uint)(extents.BlockOffset(node.FirstBlock) >> ErofsFormat.BlockBits),

            // The kernel's new_encode_dev.
            FileKind.CharacterDevice or FileKind.BlockDevice => (inode.DeviceMinor & 0xFF) | (inode.DeviceMajor << 8) | ((inode.DeviceMinor & ~0xFFu) << 12),
            _ => 0,
        };
        int xattrCount = node.XattrSize == 0 ? 0 : ((node.XattrSize - ErofsFormat.XattrHeaderSize) / 4) + 1;
        BinaryPrimitives.WriteUInt16LittleEndian(destination, (ushort)((node.IsCompact ? 0 : 1) | (node.Layout << 1)));
        BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], (ushort)xattrCount);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], (ushort)(ErofsFormat.TypeBits(inode.Kind) | inode.Mode));
        if (node.IsCompact)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)node.Links);
            BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], (uint)node.Size);
            BinaryPrimitives.WriteUInt32LittleEndian(destination[16..], union);
            BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], (uint)index + 1);
            BinaryPrimitives.WriteUInt16LittleEndian(destination[24..], (ushort)inode.Uid);
            BinaryPrimitives.WriteUInt16LittleEndian(destination[26..], (ushort)inode.Gid);
            return;
        }

        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], (ulong)node.Size);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[16..], union);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], (uint)index + 1);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[24..], inode.Uid);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[28..], inode.Gid);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], inode.MtimeSeconds);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[40..], inode.MtimeNanoseconds);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[44..], node.Links);
    }

    private void WriteSuper(Memory<byte> image, ErofsExtents extents)
    {
        Span<byte> super = image.Span.Slice(ErofsFormat.SuperOffset, ErofsFormat.SuperSize);
        BinaryPrimitives.WriteUInt32LittleEndian(super, ErofsFormat.SuperMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(super[8..], ErofsFormat.CompatibleFeatures);
        super[12] = ErofsFormat.BlockBits;
        BinaryPrimitives.WriteUInt16LittleEndian(super[14..], (ushort)_nodes.Nodes[0].Nid);
        BinaryPrimitives.WriteUInt64LittleEndian(super[16..], (ulong)_nodes.Nodes.Length);
        BinaryPrimitives.WriteInt64LittleEndian(super[24..], _nodes.Epoch.Seconds);
        BinaryPrimitives.WriteUInt32LittleEndian(super[32..], _nodes.Epoch.Nanoseconds);
        BinaryPrimitives.WriteUInt32LittleEndian(super[36..], (uint)(extents.End >> ErofsFormat.BlockBits));
        if (_nodes.Xattrs.SharedAreaSize > 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(super[44..], (uint)(extents.Shared >> ErofsFormat.BlockBits));
        }

        BinaryPrimitives.WriteUInt32LittleEndian(super[80..], ErofsFormat.IncompatibleFeatures);

        // A copied-up file keeps its inode number over a remount only if the lower file system has a uuid (fs/overlayfs/util.c, ovl_can_decode_fh).
        Span<byte> digest = stackalloc byte[Digest.Size];
        SpooledMemory.Hash(image).CopyTo(digest);
        Span<byte> uuid = super.Slice(48, 16);
        digest[..16].CopyTo(uuid);
        uuid[6] = (byte)((uuid[6] & 0x0F) | 0x80);
        uuid[8] = (byte)((uuid[8] & 0x3F) | 0x80);
        BinaryPrimitives.WriteUInt32LittleEndian(super[4..], Checksum(image.Span));
    }

    /// <summary>crc32c of the first block from the super block on, its checksum field taken as zero, not inverted at the end.</summary>
    internal static uint Checksum(ReadOnlySpan<byte> image)
    {
        Debug.Assert(image.Length >= ErofsFormat.BlockSize, "an image has at least one block");
        uint crc = uint.MaxValue;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(image[ErofsFormat.SuperOffset..ErofsFormat.BlockSize]);
        for (int i = 0; i < words.Length; i++)
        {
            ulong word = BitConverter.IsLittleEndian ? words[i] : BinaryPrimitives.ReverseEndianness(words[i]);
            crc = BitOperations.Crc32C(crc, i == 0 ? word & uint.MaxValue : word);
        }

        return crc;
    }
}
