using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// The contents of single files of an image on disk, by the inode numbers that the mounted image shows, without reading the rest. The image has been read as a whole before, so nothing is checked
/// here but what keeps this from going astray. Safe for concurrent use.
/// </summary>
internal sealed class ErofsContents : IDisposable
{
    /// <summary>An inode with the most shared attributes that it can name, and behind them its content's.</summary>
    private const int MaxLength = ErofsFormat.ExtendedSize + ErofsFormat.XattrHeaderSize + (4 * byte.MaxValue) + ErofsXattrTable.OverlaySize;

    private readonly SafeFileHandle _image;

    /// <param name="path">The image.</param>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public ErofsContents(string path) => _image = File.OpenHandle(path);

    /// <summary>Null if there is no regular file with this number, or it is empty.</summary>
    /// <param name="inode">The number; erofs shows the node id (erofs, inode.c).</param>
    /// <exception cref="IOException">The image cannot be read.</exception>
    public Digest? Find(ulong inode)
    {
        Span<byte> raw = stackalloc byte[MaxLength];
        if (inode < ErofsFormat.FirstNid || inode > long.MaxValue >> ErofsFormat.SlotBits)
        {
            return null;
        }

        raw = raw[..RandomAccess.Read(_image, raw, (long)inode << ErofsFormat.SlotBits)];
        if (raw.Length < ErofsFormat.CompactSize)
        {
            return null;
        }

        int format = BinaryPrimitives.ReadUInt16LittleEndian(raw);
        int start = (format & 1) != 0 ? ErofsFormat.ExtendedSize : ErofsFormat.CompactSize;
        bool hasContent = format >> 1 == ErofsFormat.LayoutChunked && ErofsFormat.KindOf(BinaryPrimitives.ReadUInt16LittleEndian(raw[4..])) == FileKind.Regular;
        try
        {
            return hasContent && raw.Length >= start + ErofsFormat.XattrHeaderSize ? ErofsImage.ContentIn(raw[start..], inode) : null;
        }
        catch (FailureException)
        {
            return null; // not a file of the image: numbers of other file systems may come here
        }
    }

    public void Dispose() => _image.Dispose();
}
